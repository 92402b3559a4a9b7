package certs

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
)

// nodesFile returns the AuthorizedNodes of a new file.
func nodesFile(t testing.TB, content string) (*AuthorizedNodes, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authorized_nodes")
	writeFile(t, path, content)
	return NewAuthorizedNodes(path), path
}

func newIDs(t testing.TB, n int) []NodeID {
	t.Helper()
	ids := make([]NodeID, n)
	for i := range ids {
		ids[i] = newKey(t).ID()
	}
	return ids
}

// rest is the time since the file was read.
func (a *AuthorizedNodes) rest() {
	a.turn <- struct{}{}
	defer func() { <-a.turn }()
	a.readAt = a.readAt.Add(-settleTime)
}

// contains reports whether the file admits id, without the pauses between reads.
func contains(nodes *AuthorizedNodes, id NodeID) (bool, error) {
	nodes.rest()
	node, known, err := nodes.Lookup(context.Background(), id)
	return known && !node.Denied, err
}

func add(nodes *AuthorizedNodes, id NodeID, name string) error {
	nodes.rest()
	_, err := nodes.Add(context.Background(), AuthorizedNode{ID: id, Name: name})
	return err
}

func wantContains(t testing.TB, nodes *AuthorizedNodes, id NodeID, want bool) {
	t.Helper()
	if got, err := contains(nodes, id); err != nil || got != want {
		t.Errorf("Contains(%v): %v, %v; want %v", id, got, err, want)
	}
}

func TestAuthorizedNodesFormat(t *testing.T) {
	t.Parallel()
	ids := newIDs(t, 7)
	nodes, _ := nodesFile(t, "\ufeff"+ids[0].String()+"\r\n"+
		"# "+ids[1].String()+" is only a remark\r\n"+
		"\r\n"+
		"   \t\n"+
		"#"+ids[2].String()+"\n"+
		"  "+ids[3].String()+"\tmy Raspberry Pi # at home\r\n"+
		fmt.Sprintf("0x%x in hex\n", ids[4][:])+
		ids[5].String()+" "+ids[6].String()) // a comment, and no last newline
	for i, want := range []bool{true, false, false, true, true, true, false} {
		wantContains(t, nodes, ids[i], want)
	}
	wantContains(t, nodes, NodeID{}, false)
}

func TestAuthorizedNodesBadLines(t *testing.T) {
	t.Parallel()
	ids := newIDs(t, 3)
	nodes, path := nodesFile(t, ids[0].String()+"\n# remark\nnonsense\n"+ids[1].String()+" ok\n"+ids[2].String()[3:]+"\n0x12\n")
	for i, want := range []bool{true, true, false} {
		got, err := contains(nodes, ids[i])
		if got != want || err == nil {
			t.Fatalf("node %d: %v, %v; want %v and an error", i, got, err, want)
		}
		for number := 1; number <= 6; number++ {
			named := strings.Contains(err.Error(), fmt.Sprintf("%s:%d:", path, number))
			if bad := number == 3 || number >= 5; named != bad {
				t.Errorf("line %d named: %v, want %v", number, named, bad)
			}
		}
	}
	// Adding works despite invalid lines, and correcting them ends the error.
	if err := add(nodes, ids[2], ""); err != nil {
		t.Fatal(err)
	}
	if got, err := contains(nodes, ids[2]); !got || err == nil {
		t.Errorf("added: %v, %v", got, err)
	}
	writeFile(t, path, ids[1].String())
	wantContains(t, nodes, ids[1], true)
	wantContains(t, nodes, ids[0], false)
}

func TestAuthorizedNodesManyBadLines(t *testing.T) {
	t.Parallel()
	nodes, _ := nodesFile(t, strings.Repeat("x\n", 1000))
	_, err := contains(nodes, newIDs(t, 1)[0])
	if err == nil || strings.Count(err.Error(), "\n") != maxNamedLines || !strings.Contains(err.Error(), "990 more") {
		t.Errorf("got %v", err)
	}
}

func TestAuthorizedNodesMissingFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "authorized_nodes")
	nodes, id := NewAuthorizedNodes(path), newIDs(t, 1)[0]
	wantContains(t, nodes, id, false)
	if err := add(nodes, id, "made by the test"); err != nil {
		t.Fatal(err)
	}
	wantContains(t, nodes, id, true)
	wantMode(t, path, 0o600)
	wantMode(t, filepath.Dir(path), 0o700)
	if got, want := readFile(t, path), id.String()+" made by the test\n"; got != want {
		t.Errorf("file %q, want %q", got, want)
	}
	if err := os.Rename(path, path+".lost"); err != nil {
		t.Fatal(err)
	}
	if _, known, err := nodes.Lookup(t.Context(), id); known || err == nil || !strings.Contains(err.Error(), "has vanished") {
		t.Errorf("the file is gone: %v, %v", known, err)
	}
	if err := add(nodes, newIDs(t, 1)[0], "who would be the only one"); err == nil {
		t.Error("a new list replaces the one that is gone")
	}
	if err := os.Rename(path+".lost", path); err != nil {
		t.Fatal(err)
	}
	wantContains(t, nodes, id, true)
}

func TestAuthorizedNodesReadsAgain(t *testing.T) {
	t.Parallel()
	ids := newIDs(t, 3)
	for ids[0].String()[:1] == "1" || len(ids[0].String()) != len(ids[1].String()) || len(ids[1].String()) != len(ids[2].String()) {
		ids = newIDs(t, 3) // the sizes of the files must be equal below
	}
	nodes, path := nodesFile(t, "")
	write := func(id NodeID, modified time.Time) {
		t.Helper()
		writeFile(t, path, id.String()+"\n")
		if err := os.Chtimes(path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	write(ids[0], old)
	wantContains(t, nodes, ids[0], true)

	// Same time, same size: not read again, which is what makes strangers cheap.
	write(ids[1], old)
	wantContains(t, nodes, ids[0], true)
	wantContains(t, nodes, ids[1], false)

	// Another time.
	write(ids[1], old.Add(time.Second))
	wantContains(t, nodes, ids[1], true)
	wantContains(t, nodes, ids[0], false)

	// Another file with the same time and size, as an editor leaves it.
	if err := os.Rename(path, path+"~"); err != nil {
		t.Fatal(err)
	}
	write(ids[2], old.Add(time.Second))
	wantContains(t, nodes, ids[2], true)
	wantContains(t, nodes, ids[1], false)

	// Within one step of the file system's clock, or with a wrong clock.
	for _, now := range []time.Time{time.Now(), time.Now().Add(time.Hour)} {
		write(ids[0], now)
		wantContains(t, nodes, ids[0], true)
		write(ids[1], now)
		wantContains(t, nodes, ids[1], true)
		wantContains(t, nodes, ids[0], false)
	}
}

func TestAuthorizedNodesAddKeepsTheFile(t *testing.T) {
	t.Parallel()
	id := newIDs(t, 1)[0]
	for before, added := range map[string]string{
		"":                               "",
		"# remark\n":                     "",
		"# remark":                       "\n",
		"# remark\r\n\r\n":               "",
		"nonsense \xff\x00 in the file":  "\n",
		bootstrapID + " no last newline": "\n",
	} {
		nodes, path := nodesFile(t, before)
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time it is there already
			if err := add(nodes, id, " why\t"); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := readFile(t, path), before+added+id.String()+" why\n"; got != want {
			t.Errorf("file %q, want %q", got, want)
		}
		wantMode(t, path, 0o640)
		if got, _ := contains(nodes, id); !got {
			t.Errorf("after %q: not there", before)
		}
	}
}

func TestAuthorizedNodesComment(t *testing.T) {
	t.Parallel()
	stranger := newIDs(t, 1)[0].String()
	for comment, want := range map[string]string{
		"":                       "",
		"\n":                     "",
		"pi\n" + stranger:        " pi " + stranger,
		"pi\r" + stranger:        " pi " + stranger,
		"a\u2028b\x00c\x1b[2Jd":  " a b c [2Jd",
		"Küche \xff\xfe 🍓":       " Küche 🍓",
		strings.Repeat("a", 300): " " + strings.Repeat("a", 200),
		strings.Repeat("ü", 300): " " + strings.Repeat("ü", 100),
		strings.Repeat("€", 300): " " + strings.Repeat("€", 66),
	} {
		id := newIDs(t, 1)[0]
		nodes, path := nodesFile(t, "")
		if err := add(nodes, id, comment); err != nil {
			t.Fatal(err)
		}
		if got := readFile(t, path); got != id.String()+want+"\n" {
			t.Errorf("comment %q: file %q, want %q", comment, got, want)
		}
	}
}

// Several servers and commands may write the file at once.
func TestAuthorizedNodesConcurrentAdd(t *testing.T) {
	t.Parallel()
	ids := newIDs(t, 24)
	first, path := nodesFile(t, "# by hand")
	second := NewAuthorizedNodes(path)
	var group sync.WaitGroup
	for i, id := range ids {
		nodes := []*AuthorizedNodes{first, second}[i%2]
		group.Go(func() {
			if err := add(nodes, id, fmt.Sprint("node ", i)); err != nil {
				t.Error(err)
			}
			if got, err := contains(nodes, id); !got || err != nil {
				t.Errorf("node %d: %v, %v", i, got, err)
			}
		})
	}
	group.Wait()
	for _, id := range ids {
		wantContains(t, first, id, true)
		wantContains(t, second, id, true)
	}
	// An empty line is possible: two may both have added the missing newline.
	var lines int
	for line := range strings.Lines(readFile(t, path)) {
		if strings.TrimSpace(line) != "" {
			lines++
		}
	}
	if lines != len(ids)+1 {
		t.Errorf("%d lines, want %d", lines, len(ids)+1)
	}
}

func TestAuthorizedNodesEditedBetween(t *testing.T) {
	t.Parallel()
	ids := newIDs(t, 5)
	nodes, path := nodesFile(t, "")
	if err := add(nodes, ids[0], ""); err != nil {
		t.Fatal(err)
	}
	// Somebody appends, without a last newline.
	writeFile(t, path, readFile(t, path)+ids[1].String()+" by hand")
	if err := add(nodes, ids[2], ""); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids[:3] {
		wantContains(t, nodes, id, true)
	}
	// Somebody's editor puts a new file in the old one's place.
	writeFile(t, path+".new", ids[3].String()+"\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if err := add(nodes, ids[4], ""); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, false, false, true, true} {
		wantContains(t, nodes, ids[i], want)
	}
	// A removed node can be added again.
	if err := add(nodes, ids[0], ""); err != nil {
		t.Fatal(err)
	}
	wantContains(t, nodes, ids[0], true)
}

func TestAuthorizedNodesUnusable(t *testing.T) {
	t.Parallel()
	directory, id := t.TempDir(), newIDs(t, 1)[0]
	file, large := filepath.Join(directory, "file"), filepath.Join(directory, "large")
	writeFile(t, file, "")
	content := strings.Repeat("#", maxAuthorizedFile) + "\n"
	writeFile(t, large, content)
	for name, path := range map[string]string{"a directory": directory, "under a file": filepath.Join(file, "x"), "too large": large} {
		nodes := NewAuthorizedNodes(path)
		for range 2 {
			if got, err := contains(nodes, id); got || err == nil {
				t.Errorf("%s: Contains: %v, %v", name, got, err)
			}
		}
		if err := add(nodes, id, ""); err == nil {
			t.Errorf("%s: added", name)
		}
	}
	if readFile(t, large) != content {
		t.Error("the large file changed")
	}

	// A file that is just small enough to be read, but not to be added to.
	writeFile(t, large, content[1:])
	nodes := NewAuthorizedNodes(large)
	wantContains(t, nodes, id, false)
	if err := add(nodes, id, ""); err == nil || hintOf(err) == "" {
		t.Errorf("added to a full file: %v", err)
	}
	if err := add(NewAuthorizedNodes(file), NodeID{}, ""); err == nil || readFile(t, file) != "" {
		t.Errorf("nobody was added: %v", err)
	}
}

// An error must not leave nodes authorized that the file no longer names.
func TestAuthorizedNodesFailClosed(t *testing.T) {
	t.Parallel()
	id := newIDs(t, 1)[0]
	nodes, path := nodesFile(t, id.String())
	wantContains(t, nodes, id, true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, fs.ModePerm); err != nil {
		t.Fatal(err)
	}
	if got, err := contains(nodes, id); got || err == nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzAuthorizedNodes(f *testing.F) {
	for _, s := range []string{"", "\n", "# x\r\n" + bootstrapID + " comment\r\n", bootstrapID[1:], "\ufeff0x" + bootstrapHex, "\x00\n\xff"} {
		f.Add([]byte(s), s)
	}
	id := NodeID{1, 2, 3}
	f.Fuzz(func(t *testing.T, content []byte, comment string) {
		before, beforeErr := parseAuthorized("file", content)
		for node := range before {
			if node.IsZero() {
				t.Fatalf("%q authorizes nobody", content)
			}
		}
		text := cleanName(comment)
		if len(text) > maxName || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("comment %q became %q", comment, text)
		}
		// One more line authorizes one more node, whatever was there.
		after, afterErr := parseAuthorized("file", append(content, "\n"+id.String()+" "+text+"\n"...))
		_, had := before[id]
		if _, ok := after[id]; !ok || len(after) != len(before)+1 && !had {
			t.Fatalf("%q: %d nodes, then %d", content, len(before), len(after))
		}
		if fmt.Sprint(beforeErr) != fmt.Sprint(afterErr) {
			t.Fatalf("%q: errors %v, then %v", content, beforeErr, afterErr)
		}
	})
}
