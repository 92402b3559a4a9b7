package jsonc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// nothingElse is for Parse: what is not JSON is nothing else either.
func nothingElse([]byte) (int, error) { return 0, nil }

func mustParse(t *testing.T, text string) Value {
	t.Helper()
	root, err := Parse("f", []byte(text), nothingElse)
	if err != nil {
		t.Fatal(err)
	}
	return root
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
		{"no quotes", "{\"logLevel\": info}", 1, 14, "this is neither a \"text\" in quotes"},
		{"after the end", "{}\n{}", 2, 1, "invalid character '{' after top-level value"},
		{"not UTF-8", "{\n\"dataDir\": \"ä\xff\"}", 2, 14, "not UTF-8"},
		{"column in characters", "{\"ä\": \"ö\", x}", 1, 12, "neither"},
		{"nested", "\n" + strings.Repeat("[", 1000), 2, maxNesting + 1, "nested deeper than 32"},
		{"nested after a text", `{"a[[\"{": 1, /*[*/ "b": //{` + "\n" + strings.Repeat("[", 1000), 2, maxNesting, "nested deeper than 32"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("f", []byte(test.file), nothingElse)
			mistakes, ok := err.(Errors)
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
	if _, err := Parse("s", []byte(file), nothingElse); err != nil {
		t.Error(err)
	}
}

// What is something else is reported as such, at the place at which that shows.
func TestSomethingElse(t *testing.T) {
	t.Parallel()
	other := errors.New("this is a shopping list")
	foreign := func(data []byte) (int, error) {
		if at := strings.Index(string(data), "eggs"); at >= 0 {
			return at, other
		}
		return 0, nil
	}
	if _, err := Parse("f", []byte("\ufeffmilk\n10 eggs"), foreign); !errors.Is(err, other) || err.Error() != "f:2: this is a shopping list" {
		t.Errorf("error %v, want %v", err, other)
	}
	if _, err := Parse("f", []byte("milk"), foreign); err == nil || errors.Is(err, other) {
		t.Errorf("error %v, want another than %v", err, other)
	}
	if _, err := Parse("f", []byte(`["eggs"]`), foreign); err != nil {
		t.Error(err)
	}
}

func TestTooBig(t *testing.T) {
	t.Parallel()
	if _, err := Parse("big", make([]byte, MaxSize+1), nothingElse); !errors.Is(err, errTooBig) || err.Error() != "big: it has more than 1048576 bytes" {
		t.Errorf("error %v, want %v", err, errTooBig)
	}
}

// A document of the largest size with as many mistakes as possible takes no time worth a mention.
func TestManyMistakes(t *testing.T) {
	t.Parallel()
	root := mustParse(t, "{"+strings.Repeat("\"x\": 1,\n", MaxSize/8-1)+"}")
	root.Apply(Field{Set: func(v Value) error { return v.Decode(Form{}) }})
	mistakes, ok := root.Err().(Errors)
	if !ok || len(mistakes) != maxMistakes+1 || !strings.Contains(mistakes[maxMistakes].Text, "more mistakes") {
		t.Errorf("got %d mistakes", len(mistakes))
	}
}
