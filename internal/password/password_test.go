package password

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestHashes(t *testing.T) {
	t.Parallel()
	hash, err := hashAt("secret", bcrypt.MinCost)
	if err != nil || bcrypt.CompareHashAndPassword([]byte(hash), []byte("secret")) != nil {
		t.Errorf("%s, %v", hash, err)
	}
	for _, right := range []string{"$2a$12$" + hash[7:], "$2y$10$" + hash[7:]} { // $2y$ is by htpasswd
		if err := Check(right); err != nil {
			t.Error(err)
		}
	}
	for _, password := range []string{"", strings.Repeat("x", MaxLength+1)} {
		if _, err := Hash(password); err == nil {
			t.Errorf("%q has a hash", password)
		}
	}
	for _, wrong := range []string{"secret", "", hash[:59], hash + "x", "$2a$05$" + hash[7:], "$2a$31$" + hash[7:], "$1$" + hash[3:], hash} {
		if err := Check(wrong); err == nil || wrong != "" && strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	for name, ok := range map[string]bool{"anna": true, "anna b": true, "": false, "a:b": false, "ä": false, strings.Repeat("x", maxUser+1): false} {
		if err := CheckUser(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
