package certs

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestInvitationVectors reads the vectors of docs/protocol.md section 12.
func TestInvitationVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../framing/testdata/vectors/invitations.txt")
	if err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for block := range strings.SplitSeq(string(text), "\n\n") {
		vector := map[string]string{}
		for line := range strings.Lines(block) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), " ="); ok && line[0] != '#' {
				vector[key] = strings.TrimSpace(value)
			}
		}
		if len(vector) == 0 {
			continue
		}
		var invitation string
		if err := json.Unmarshal([]byte(vector["invitation"]), &invitation); err != nil {
			t.Fatalf("%v: %v", vector, err)
		}
		got, err := ParseInvitation(invitation)
		if vector["valid"] == "no" {
			if bad++; err == nil {
				t.Errorf("%s is taken", invitation)
			}
			continue
		}
		good++
		if err != nil || got.String() != invitation {
			t.Errorf("%s: %v, %v", invitation, got, err)
			continue
		}
		check := ""
		if len(got.Secret) > 0 {
			check = hex.EncodeToString(checkOf(got.Server, got.Secret))
		}
		for key, value := range map[string]string{
			"server": hex.EncodeToString(got.Server[:]), "host": got.Host, "port": strconv.Itoa(int(got.Port)),
			"secret": hex.EncodeToString(got.Secret), "check": check,
		} {
			if value != vector[key] {
				t.Errorf("%s: %s is %s, want %s", invitation, key, value, vector[key])
			}
		}
	}
	if good < 4 || bad < 10 {
		t.Errorf("%d good and %d bad vectors", good, bad)
	}
}
