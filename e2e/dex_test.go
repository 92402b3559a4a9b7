package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// installDex builds Dex 2.41.1, a real OpenID Connect provider, once for all tests. Its go.mod has a path
// that go install refuses for this version; and SQLite, which is part of it, needs a C compiler.
var installDex = sync.OnceValues(func() (string, error) {
	return buildForeign("dex", "1", []string{"github.com/dexidp/dex/cmd/dex@v0.0.0-20240807174518-43956db7fd75", "github.com/dexidp/dex/api/v2@v2.2.0"},
		[]string{"github.com/dexidp/dex/cmd/dex"})
})

// dex is a provider that can run.
type dex struct {
	issuer, config, secretFile string
	process                    *process
}

// newDex makes a provider with two users, anna and bob@example.org, whose passwords are their names, for a
// client at some sites.
func newDex(t *testing.T, sites ...string) *dex {
	t.Helper()
	if out, err := installDex(); err != nil {
		t.Skipf("Dex cannot be built, which needs a C compiler, and the module proxy or its modules: %v\n%s", err, out)
	}
	dir := t.TempDir()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d := &dex{issuer: "http://" + address + "/dex", config: filepath.Join(dir, "dex.json"), secretFile: filepath.Join(dir, "secret")}
	var callbacks []string
	for _, site := range sites {
		callbacks = append(callbacks, site+"/.apquic/callback", site+"/.apquic-server/callback")
	}
	users := []map[string]string{}
	for id, name := range []string{"anna", "bob"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(name), 10) // less is refused
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, map[string]string{"email": name + "@example.org", "hash": string(hash), "username": name, "userID": fmt.Sprint("id-", id)})
	}
	text, err := json.Marshal(map[string]any{
		"issuer": d.issuer, "storage": map[string]string{"type": "memory"}, "web": map[string]string{"http": address},
		"oauth2": map[string]any{"skipApprovalScreen": true}, "enablePasswordDB": true, "staticPasswords": users,
		"staticClients": []map[string]any{{"id": "home", "secret": "client secret", "name": "Home", "redirectURIs": callbacks}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{d.config: text, d.secretFile: []byte("client secret\n")} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *dex) start(t *testing.T) {
	t.Helper()
	d.process = launch(t, detached, filepath.Join("dex", "dex"), "serve", d.config)
	waitFor(t, d.process.stderr, "listening (on|http)")
}
