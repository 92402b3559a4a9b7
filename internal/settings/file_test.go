package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

func TestSyntax(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, file   string
		line, column int
		text         string
	}{
		{"empty", "", 1, 1, "the file is empty"},
		{"blank", " \n\n", 3, 1, "the file is empty"},
		{"open object", "{\n\"open\": true", 2, 13, "the file ends too early"},
		{"open text", "{\n\"listen\": \":80\n}", 3, 2, "the file ends too early"},
		{"open text before another", "{\n  \"listen\": \":80,\n\"open\": true}", 2, 13, `lacks the closing`},
		{"open comment", "{} /*", 1, 4, "the file ends too early"},
		{"no comma", "{\"open\": true\n  \"drain\": 1}", 1, 13, "a comma is missing after this"},
		{"no comma before a comment", "{\n\"drain\": \"1s // \\\"\" // of 10\n\n/* , */ \"open\": true}", 2, 19, "a comma is missing after this"},
		{"no comma in a list", "[1\n2]", 1, 2, "a comma is missing after this"},
		{"frp in JSON", "{\"serverAddr\": \"x\", \"proxies\": []}", 1, 1, "this is a file for frp"},
		{"frp in TOML", "# client\nserverAddr = \"x\"\n\n[[proxies]]\nname = \"web\"\n", 2, 1, "this is a file for frp"},
		{"frp in INI", "[common]\nserver_addr = x\n", 1, 1, "this is a file for frp"},
		{"no quotes", "{\"logLevel\": info}", 1, 14, "this is neither a \"text\" in quotes"},
		{"after the end", "{}\n{}", 2, 1, "invalid character '{' after top-level value"},
		{"not UTF-8", "{\n\"dataDir\": \"ä\xff\"}", 2, 14, "not UTF-8"},
		{"column in characters", "{\"ä\": \"ö\", x}", 1, 12, "neither"},
		{"nested", "\n" + strings.Repeat("[", 1000), 2, maxNesting + 1, "nested deeper than 32"},
		{"nested after a text", `{"a[[\"{": 1, /*[*/ "b": //{` + "\n" + strings.Repeat("[", 1000), 2, maxNesting, "nested deeper than 32"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := DefaultNode()
			mistakes, ok := ParseNode("f", []byte(test.file), &n).(Errors)
			if !ok || len(mistakes) != 1 {
				t.Fatalf("mistakes %v, want one", mistakes)
			}
			if m := mistakes[0]; m.Line != test.line || m.Column != test.column || !strings.Contains(m.Text, test.text) {
				t.Errorf("got %d:%d: %s, want %d:%d: %s", m.Line, m.Column, m.Text, test.line, test.column, test.text)
			}
		})
	}
}

// What nests in texts and comments is not nesting.
func TestDeepTexts(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[{", 100)
	file := fmt.Sprintf("{ // %[1]s\n/* %[1]s \n */ \"dataDir\": \"\\\"%[1]s\"}", deep)
	s := DefaultServer()
	if err := ParseServer("s", []byte(file), &s); err != nil {
		t.Error(err)
	}
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
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path string
		is   error
		text string
	}{
		{filepath.Join(dir, "none.json"), fs.ErrNotExist, "none.json cannot be read: "},
		{dir, errDirectory, "it is a directory"},
		{big, errTooBig, "it has more than 1048576 bytes"},
	} {
		s, n := DefaultServer(), DefaultNode()
		for _, err := range []error{LoadServer(test.path, &s), LoadNode(test.path, &n)} {
			if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.text) || hintOf(err) == "" {
				t.Errorf("%s: error %v with hint %q, want %q and a hint", test.path, err, hintOf(err), test.text)
			}
		}
	}
	s := DefaultServer()
	if err := ParseServer("big", make([]byte, maxFile+1), &s); !errors.Is(err, errTooBig) {
		t.Errorf("error %v, want %v", err, errTooBig)
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
