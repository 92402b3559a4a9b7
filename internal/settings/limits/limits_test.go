package limits

import (
	"errors"
	"fmt"
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
		if err := again.Reload(func(rules.Own) error { t.Errorf("%s is used", name); return nil }); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(again.Own()) != 1 {
		t.Error("a mistake changed something")
	}
}

// TestEdited: what a person has written into the file since it was read stays, with comments, and holds from the next
// command on. A mistake there is an error of the command, which loses nothing.
func TestEdited(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), Name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := certs.NodeID{1, 31: 1}, certs.NodeID{2, 31: 1}, certs.NodeID{3, 31: 1}
	change := func(node certs.NodeID, add Words) (own rules.Own, err error) {
		_, err = f.Change(node, false, add, func(all rules.Own) { own = all })
		return own, err
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(text string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, want %q, %v", got, text, err)
		}
	}
	if _, err := change(a, Words{"maxServices": "2"}); err != nil {
		t.Fatal(err)
	}
	want(a.String() + " maxServices=2\n")
	write("# of my aunt\n" + b.String() + "  maxClients=7\n\n" + a.String() + " maxServices=3 # no") // a mistake
	if _, err := change(a, Words{"maxClients": "9"}); err == nil || !strings.Contains(err.Error(), path+":4: ") {
		t.Errorf("a mistake: %v", err)
	}
	want("# of my aunt\n" + b.String() + "  maxClients=7\n\n" + a.String() + " maxServices=3 # no")
	write("# of my aunt\n" + b.String() + "  maxClients=7\n\n" + fmt.Sprintf("0x%x\tmaxServices=3", a[:]))
	own, err := change(a, Words{"maxClients": "9"})
	if err != nil || own[b].MaxClients.Value != 7 || own[a].MaxServices.Value != 3 || own[a].MaxClients.Value != 9 || len(f.All()) != 2 {
		t.Errorf("%+v, %v", own, err)
	}
	if _, err := change(c, Words{"maxClients": "1"}); err != nil {
		t.Fatal(err)
	}
	want("# of my aunt\n" + b.String() + "  maxClients=7\n\n" + a.String() + " maxClients=9 maxServices=3\n" + c.String() + " maxClients=1\n")
	if _, err := f.Change(b, true, nil, func(rules.Own) {}); err != nil {
		t.Fatal(err)
	}
	want("# of my aunt\n\n" + a.String() + " maxClients=9 maxServices=3\n" + c.String() + " maxClients=1\n")
}

// TestReloadRefused: limits that whoever uses them refuses are not those of the file.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), Name)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	id, refused := certs.NodeID{1, 31: 1}, errors.New("refused")
	if err := os.WriteFile(path, []byte(id.String()+" maxServices=2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(func(own rules.Own) error { return refused }); !errors.Is(err, refused) || len(f.Own()) != 0 || len(f.All()) != 0 {
		t.Errorf("%v, %v", f.All(), err)
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
