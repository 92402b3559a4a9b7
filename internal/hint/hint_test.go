package hint

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestAdd(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	err := fmt.Errorf("doing: %w", Add(Add(cause, "inner"), "do %d things", 2))
	if Of(err) != "do 2 things" || err.Error() != "doing: cause" || !errors.Is(err, cause) {
		t.Errorf("%v, hint %q", err, Of(err))
	}
	if Of(cause) != "" || Of(nil) != "" {
		t.Error("a hint comes from nowhere")
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 0, ""}, {"plain, Grüße, 日本", 0, "plain, Grüße, 日本"}, {"a\nb\tc\rd", 0, "a b c d"},
		{"\x1b[31mred\x07\u202e", 0, " [31mred  "}, {"a\xffb", 0, "a b"},
		{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aüb", 2, "a"}, {"aüb", 3, "aü"}, {"ü", 1, ""},
	} {
		if got := Printable(test.text, test.limit); got != test.want {
			t.Errorf("%q, %d: %q, want %q", test.text, test.limit, got, test.want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b\n\u202e\xff", 4)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		got := Printable(text, limit)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func TestReadable(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"web": "web", "Grüße": "Grüße", "": `""`, "a b": `"a b"`, "a\nb": `"a\nb"`, `a"b`: `"a\"b"`,
		strings.Repeat("x", 65):        strings.Repeat("x", 64) + "…",
		strings.Repeat("x", 63) + "üz": strings.Repeat("x", 63) + "…",
	} {
		if got := Readable(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}
