package certs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestKnownNodes: a name means the node that it meant first, also for other processes and after a restart.
func TestKnownNodes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "known_nodes")
	garage, other := newKey(t).ID(), newKey(t).ID()
	k, again := NewKnownNodes(path), NewKnownNodes(path)
	if first, err := k.Check("garage", garage); !first || err != nil {
		t.Fatalf("%v, %v", first, err)
	}
	for range 2 {
		if first, err := again.Check("garage", garage); first || err != nil {
			t.Fatalf("%v, %v", first, err)
		}
		first, err := again.Check("garage", other)
		changed, ok := errors.AsType[*ChangedNodeError](err)
		if first || !ok || changed.Known != garage || changed.Now != other || !strings.Contains(changed.Hint(), path) {
			t.Fatalf("%v, %v", first, err)
		}
	}
	if first, err := again.Check("attic", other); !first || err != nil {
		t.Errorf("%v, %v", first, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info, err)
	}
	text, _ := os.ReadFile(path)
	if want := "garage " + garage.String() + "\nattic " + other.String() + "\n"; string(text) != want {
		t.Errorf("the file is %q", text)
	}
	if err := os.WriteFile(path, []byte("# mine\n\nattic "+garage.String()+"\nattic "+other.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if first, err := k.Check("attic", garage); first || err != nil {
		t.Errorf("an edited file: %v, %v", first, err)
	}
	if first, err := k.Check("garage", other); !first || err != nil {
		t.Errorf("a removed line: %v, %v", first, err)
	}
	for _, name := range []string{"", "a b", "-x", garage.String(), strings.Repeat("a", 65)} {
		if _, err := k.Check(name, garage); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
	for _, bad := range []string{"garage\n", "garage x\n", "garage " + garage.String() + " x\n", strings.Repeat("#\n", maxKnownNodes)} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Check("garage", garage); err == nil || len(bad) < 1000 && !strings.Contains(err.Error(), path+":1:") {
			t.Errorf("%.80q: %v", bad, err)
		}
	}
}

// TestKnownNodesInMemory: without a file names are remembered, too.
func TestKnownNodesInMemory(t *testing.T) {
	t.Parallel()
	k, garage := NewKnownNodes(""), newKey(t).ID()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { k.Check("garage", garage) })
	}
	all.Wait()
	_, err := k.Check("garage", newKey(t).ID())
	if changed, ok := errors.AsType[*ChangedNodeError](err); !ok || changed.Hint() == "" {
		t.Error(err)
	}
}

// FuzzKnownNodes: whatever is in the file, it means names and ids, or is refused.
func FuzzKnownNodes(f *testing.F) {
	f.Add([]byte("garage 586Z7H2vpX9qNhN2T4e9Utugie3ogjbxzGaMtM3E6HR5\n# x\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		names, err := parseKnownNodes("f", content)
		for name, id := range names {
			if CheckName(name) != nil || id.IsZero() || err != nil {
				t.Fatalf("%q is %v, %v", name, id, err)
			}
		}
	})
}

// TestAuthorizedNames: a node gets the name that it would like if it has none, and nobody else has it; that stays.
func TestAuthorizedNames(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "authorized_nodes")
	one, two, three, four, out := newKey(t).ID(), newKey(t).ID(), newKey(t).ID(), newKey(t).ID(), newKey(t).ID()
	text := "# mine\n" + one.String() + " port=20001\n" + two.String() + "\n" + three.String() + " attic room\n" + four.String() + " node-7\n-" + out.String() + " shed\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	nodes, ctx := NewAuthorizedNodes(path), t.Context()
	call := func(id NodeID, name, want string) {
		t.Helper()
		if node, err := nodes.Call(ctx, id, name); node.Name != want || err != nil {
			t.Errorf("%s became %q, %v", name, node.Name, err)
		}
	}
	find := func(name string, want NodeID) {
		t.Helper()
		if id, found := NewAuthorizedNodes(path).Named(ctx, name); id != want && found || found == want.IsZero() {
			t.Errorf("%s is %v, %v", name, id, found)
		}
	}
	find("garage", NodeID{})
	call(one, "garage", "garage")
	call(one, "house", "garage")
	call(four, "cellar", "cellar") // nobody had chosen node-7
	call(four, "loft", "cellar")
	call(two, "garage", "")
	call(two, "shed", "") // of a node that was shut out
	call(two, "a b", "")
	call(two, one.String(), "")
	call(three, "attic", "attic room")
	call(newKey(t).ID(), "stranger", "")
	find("garage", one)
	find("attic room", three)
	find("shed", NodeID{})
	find("", NodeID{})
	after, err := os.ReadFile(path)
	if want := strings.NewReplacer(" port=20001", " garage port=20001", "node-7", "cellar").Replace(text); string(after) != want || err != nil {
		t.Errorf("the file is %q, %v", after, err)
	}
	if err := os.WriteFile(path, append(after, two.String()+"0 garage\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	find("garage", one) // a bad line is nobody
	text = strings.Replace(string(after), two.String()+"\n", two.String()+" garage\n", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	find("garage", NodeID{})
}
