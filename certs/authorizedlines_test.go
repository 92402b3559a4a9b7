package certs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func lookup(t *testing.T, nodes *AuthorizedNodes, id NodeID) (AuthorizedNode, bool) {
	t.Helper()
	nodes.rest()
	node, known, err := nodes.Lookup(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return node, known
}

func TestAuthorizedLines(t *testing.T) {
	t.Parallel()
	id := newIDs(t, 1)[0]
	joined := time.Date(2026, 11, 26, 4, 30, 0, 0, time.UTC)
	for content, want := range map[string]AuthorizedNode{
		id.String():                  {ID: id},
		id.String() + " shed-pi":     {ID: id, Name: "shed-pi"},
		id.String() + " my  shed\tπ": {ID: id, Name: "my shed π"},
		id.String() + " a\x1b[2Jb":   {ID: id, Name: "a [2Jb"},
		id.String() + " shed-pi joined=2026-11-26T04:30:00Z port=20022": {ID: id, Name: "shed-pi", Joined: joined, Port: 20022},
		id.String() + " port=20022 shed pi":                             {ID: id, Name: "shed pi", Port: 20022},
		"-" + id.String():                                               {ID: id, Denied: true},
		"- " + id.String() + " sold":                                    {ID: id, Name: "sold", Denied: true},
		"  -" + id.String() + " sold":                                   {ID: id, Name: "sold", Denied: true},
		id.String() + " a\n" + id.String() + " b":                       {ID: id, Name: "a"},
		id.String() + " a\n-" + id.String() + " b":                      {ID: id, Name: "b", Denied: true},
		"-" + id.String() + " b\n" + id.String() + " a":                 {ID: id, Name: "b", Denied: true},
	} {
		nodes, _ := nodesFile(t, content)
		got, known := lookup(t, nodes, id)
		if !got.Joined.Equal(want.Joined) {
			t.Errorf("%q: joined %v", content, got.Joined)
		}
		if got.Joined = want.Joined; !known || got != want {
			t.Errorf("%q: %+v, want %+v", content, got, want)
		}
		if line := got.line(); strings.Count(content, "\n") == 0 {
			if again, err := parseAuthorizedLine(line); err != nil || again != want {
				t.Errorf("%q, read again: %+v, %v", line, again, err)
			}
		}
	}
	// The node counts, the invalid word is named.
	for _, word := range []string{"port=0", "port=70000", "port=x", "joined=yesterday"} {
		nodes, _ := nodesFile(t, id.String()+" pi "+word)
		node, known, err := nodes.Lookup(context.Background(), id)
		if !known || node.Name != "pi" || err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %+v, %v, %v", word, node, known, err)
		}
	}
}

func TestAllowAndDeny(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	ids := newIDs(t, 3)
	nodes, path := nodesFile(t, "# mine\n"+ids[0].String()+" shed-pi port=20022\n\n"+ids[0].String()+" again\n"+ids[1].String()+" nas")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	step := func(what error, want string) {
		t.Helper()
		if got := readFile(t, path); what != nil || got != want {
			t.Errorf("%v; file\n%swant\n%s", what, got, want)
		}
		nodes.rest()
	}
	step(nodes.Deny(ctx, ids[0]), "# mine\n-"+ids[0].String()+" shed-pi port=20022\n\n"+ids[1].String()+" nas")
	wantMode(t, path, 0o640)
	step(nodes.Deny(ctx, ids[0]), "# mine\n-"+ids[0].String()+" shed-pi port=20022\n\n"+ids[1].String()+" nas")
	wantContains(t, nodes, ids[0], false)
	wantContains(t, nodes, ids[1], true)
	nodes.rest()
	// Joining does not undo it.
	if node, err := nodes.Add(ctx, AuthorizedNode{ID: ids[0], Name: "me"}); err != nil || !node.Denied {
		t.Errorf("%+v, %v", node, err)
	}
	step(nodes.Deny(ctx, ids[2]), "# mine\n-"+ids[0].String()+" shed-pi port=20022\n\n"+ids[1].String()+" nas\n-"+ids[2].String()+"\n")
	step(nodes.Allow(ctx, AuthorizedNode{ID: ids[0]}), "# mine\n"+ids[0].String()+" shed-pi port=20022\n\n"+ids[1].String()+" nas\n-"+ids[2].String()+"\n")
	step(nodes.Allow(ctx, AuthorizedNode{ID: ids[2], Name: "new"}), "# mine\n"+ids[0].String()+" shed-pi port=20022\n\n"+ids[1].String()+" nas\n"+ids[2].String()+" new\n")
	for _, id := range ids {
		wantContains(t, nodes, id, true)
	}
	wantFiles(t, filepath.Dir(path), "authorized_nodes")
}

// TestDenyIsNews: a node that a new line denies may already be connected, on an open server or by a secret.
func TestDenyIsNews(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	ids := newIDs(t, 2)
	nodes, _ := nodesFile(t, ids[0].String()+"\n")
	before, err := nodes.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := nodes.Deny(ctx, ids[1]); err != nil {
		t.Fatal(err)
	}
	if after, err := nodes.Revision(ctx); err != nil || after == before {
		t.Errorf("revision %d, and %d before: %v", after, before, err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	ids := newIDs(t, 4)
	nodes, _ := nodesFile(t, ids[0].String()+" pi\n"+ids[1].String()+" nas\n"+ids[2].String()+" nas\n")
	for who, want := range map[string]NodeID{"pi": ids[0], ids[1].String(): ids[1], ids[3].String(): ids[3]} {
		if got, err := nodes.Find(ctx, who); err != nil || got.ID != want {
			t.Errorf("%s: %+v, %v", who, got, err)
		}
	}
	for _, who := range []string{"nas", "nobody", "", ids[0].String()[:10]} {
		if got, err := nodes.Find(ctx, who); err == nil || hintOf(err) == "" {
			t.Errorf("%q: %+v, %v", who, got, err)
		}
	}
}

// TestAddNames: two nodes that join under one name can be told apart.
func TestAddNames(t *testing.T) {
	t.Parallel()
	ids := newIDs(t, 4)
	nodes, path := nodesFile(t, ids[0].String()+" pi-3\n")
	for i, want := range []string{"", "pi", "pi-2", "pi-4"} {
		if want == "" {
			continue
		}
		nodes.rest()
		node, err := nodes.Add(context.Background(), AuthorizedNode{ID: ids[i], Name: "pi", Joined: time.Now()})
		if err != nil || node.Name != want || !strings.Contains(readFile(t, path), " "+want+" joined=") {
			t.Errorf("%+v, %v; want %s", node, err, want)
		}
	}
}

// TestReadOnceASecond: frequent changes or lookups cost no more than one read per second, and joins cost
// none.
func TestReadOnceASecond(t *testing.T) {
	t.Parallel()
	ids := newIDs(t, 20)
	nodes, path := nodesFile(t, "")
	wantContains(t, nodes, ids[0], false)
	start := time.Now()
	for _, id := range ids {
		if _, err := nodes.Add(context.Background(), AuthorizedNode{ID: id, Name: "pi"}); err != nil {
			t.Fatal(err)
		}
		if node, known, err := nodes.Lookup(context.Background(), id); !known || err != nil {
			t.Fatalf("%+v, %v, %v", node, known, err)
		}
	}
	if nodes.revision != 1 || time.Since(start) > readPause {
		t.Errorf("the file was read %d times in %v", nodes.revision, time.Since(start))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	writeFile(t, path, "")
	if _, _, err := nodes.Lookup(ctx, ids[0]); err == nil {
		t.Error("it was read again at once")
	}
	wantContains(t, nodes, ids[0], false)
	wantContains(t, nodes, ids[19], false)
}

func TestLooseFiles(t *testing.T) {
	t.Parallel()
	id := newIDs(t, 1)[0]
	nodes, path := nodesFile(t, id.String())
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o644: false, 0o620: true, 0o602: true, 0o666: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		got, err := contains(nodes, id)
		if got == refused || (err != nil) != refused || refused && !strings.Contains(hintOf(err), "chmod") {
			t.Errorf("mode %o: %v, %v", mode, got, err)
		}
		if err := CheckDataDir(filepath.Dir(path), "authorized_nodes", "not-there"); (err != nil) != refused {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := CheckDataDir(filepath.Dir(path)); err == nil || !strings.Contains(hintOf(err), "chmod") {
		t.Errorf("a directory that others may write: %v", err)
	}
}

func TestReplaceFile(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path, victim := filepath.Join(directory, "file"), filepath.Join(directory, "victim")
	writeFile(t, victim, "precious")
	for _, link := range []string{path, path + "~"} {
		if err := os.Symlink(victim, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := ReplaceFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if readFile(t, victim) != "precious" || readFile(t, path) != "new" {
		t.Error("a link was followed")
	}
	wantMode(t, path, 0o600)
}
