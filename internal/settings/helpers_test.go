package settings

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"apquic/certs"
	"apquic/lease"
)

const serverID = "HZXXs9LTfNQjrDKvvexRhuMk8TTJhYCfrHwaj3jUzuhZ"

func mustRange(t *testing.T, s string) lease.PortRange {
	t.Helper()
	ports, err := lease.ParsePortRange(s)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

func mustID(t *testing.T, s string) certs.NodeID {
	t.Helper()
	id, err := certs.ParseNodeID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func readTestdata(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wantMistakes checks that err has exactly these mistakes: each begins with its first part and contains the
// others.
func wantMistakes(t *testing.T, err error, want ...[]string) {
	t.Helper()
	mistakes, ok := errors.AsType[Errors](err)
	if err != nil && !ok {
		t.Fatalf("error is a %T, want Errors: %v", err, err)
	}
	for i, mistake := range mistakes {
		if i >= len(want) {
			t.Errorf("unexpected mistake: %v", mistake)
			continue
		}
		text := mistake.Error()
		if !strings.HasPrefix(text, want[i][0]) || slices.ContainsFunc(want[i][1:], func(part string) bool { return !strings.Contains(text, part) }) {
			t.Errorf("mistake %d: %s\nwant %q", i, text, want[i])
		}
	}
	for _, missing := range want[min(len(want), len(mistakes)):] {
		t.Errorf("missing mistake: %q", missing)
	}
}
