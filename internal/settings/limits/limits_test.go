package limits

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"apquic/certs"
	"apquic/rules"
)

// TestFile: what was said is read again as it was; a file with a mistake is refused with its line, and changes nothing.
func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), Name)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	id := certs.NodeID{1, 31: 1}
	said := Words{"ports": "20000-20010,30000", "domains": "a.example.org,*.b.example.org", "protocols": "tcp", "expires": "2027-06-30", "leaseTime": "90s", "maxRateIn": "0", "maxServices": "2"}
	used := 0
	if _, err := f.Change(id, false, said, func(own rules.Own) { used = len(own) }); err != nil || used != 1 {
		t.Fatal(err, used)
	}
	again, err := Open(path)
	if err != nil || again.Own().Differs(f.Own(), id) || again.All()[id].String() != said.String() {
		t.Fatalf("%+v, %v", again.All(), err)
	}
	if l := again.Own()[id]; l.MaxRateIn.By != rules.Operator || l.Domains.Value[1] != "*.b.example.org" {
		t.Errorf("%+v", l)
	}
	line := id.String() + " maxServices=1\n"
	for name, text := range map[string]string{
		"no id": "pi maxServices=1", "nothing": id.String(), "twice": line + line, "key": id.String() + " maxService=1", "value": id.String() + " maxServices=x",
		"no value": id.String() + " maxServices", "key twice": id.String() + " maxServices=1 maxServices=2", "huge": strings.Repeat("#\n", MaxSize/2+1), "name": id.String() + " name=x",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := again.Reload(func(rules.Own) { t.Errorf("%s is used", name) }); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(again.Own()) != 1 {
		t.Error("a mistake changed something")
	}
}

// FuzzRead: no words are read that their own text in a line of the file does not mean again.
func FuzzRead(f *testing.F) {
	f.Add("maxServices", "2")
	f.Add("domains", "a.example.org,*")
	f.Add("ports", "none")
	f.Fuzz(func(t *testing.T, key, value string) {
		words := Words{key: value}
		l, err := Read(words)
		if err != nil {
			return
		}
		id := certs.NodeID{1, 31: 1}
		own := make(rules.Own)
		if err := readLine(id.String()+" "+words.String(), make(map[certs.NodeID]Words), own); err != nil || own.Differs(rules.Own{id: l}, id) {
			t.Errorf("%q=%q: %+v, %v", key, value, own[id], err)
		}
	})
}
