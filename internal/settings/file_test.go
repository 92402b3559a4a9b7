package settings

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"apquic/internal/settings/internal/file"
	"apquic/internal/settings/internal/jsonc"
)

func hintOf(err error) string {
	hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err)
	if !ok {
		return ""
	}
	return hinted.Hint()
}

func TestSyntaxErrorKeepsSecrets(t *testing.T) {
	t.Parallel()
	const secret = "2NEpo7TZRRrLZSi2U"
	for _, file := range []string{
		`{"server": "apquic://x@y:1#` + secret + "\n, \"services\": {}}",
		`{"server": apquic://x@y:1#` + secret + `}`,
		`{"server": ` + secret + `}`,
		`{"server": "apquic://x@y:1#` + secret + `"}`,
		`{"server": "apquic://` + serverID + `@y:0#` + secret + `"}`,
	} {
		n := DefaultNode()
		err := ParseNode("f", []byte(file), &n)
		if err == nil || strings.Contains(err.Error()+hintOf(err), secret) {
			t.Errorf("%s: error %v, want one without the secret", file, err)
		}
	}
}

func TestLoadFileErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := filepath.Join(dir, "big.json")
	if err := os.WriteFile(big, make([]byte, jsonc.MaxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path string
		is   error
		text string
	}{
		{filepath.Join(dir, "none.json"), fs.ErrNotExist, "none.json cannot be read: "},
		{dir, file.ErrDirectory, "it is a directory"},
		{big, file.ErrTooBig, "it has more than 1048576 bytes"},
	} {
		s, n := DefaultServer(), DefaultNode()
		for _, err := range []error{LoadServer(test.path, &s), LoadNode(test.path, &n)} {
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.text) || hintOf(err) == "" {
				t.Errorf("%s: error %v with hint %q, want %q and a hint", test.path, err, hintOf(err), test.text)
			}
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.json")
	if err := os.WriteFile(path, []byte("{}"), 0); err != nil {
		t.Fatal(err)
	}
	if file, err := os.Open(path); err == nil {
		file.Close()
		t.Skip("this user can read everything")
	}
	s := DefaultServer()
	if err := LoadServer(path, &s); !errors.Is(err, fs.ErrPermission) || hintOf(err) == "" {
		t.Errorf("error %v, want a hint and %v", err, fs.ErrPermission)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.json")
	if err := os.WriteFile(path, []byte(`{"netId": 5}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, n := DefaultServer(), DefaultNode()
	if err := errors.Join(LoadServer(path, &s), LoadNode(path, &n)); err != nil || s.NetID != 5 || n.NetID != 5 {
		t.Errorf("netIds %d and %d, error %v", s.NetID, n.NetID, err)
	}
}
