package cli

import (
	"slices"
	"strings"
	"testing"
)

// TestComplete: the words that may follow are commands, flags, and what the program knows, but nothing that a terminal
// would obey.
func TestComplete(t *testing.T) {
	t.Parallel()
	p := painter()
	p.Complete = func(c *Call[settings], command, flag string) []string {
		switch {
		case flag == "color":
			return []string{"red", "rose", "blue"}
		case flag == "" && command == "hang":
			return []string{c.Settings.Color + "-" + strings.Join(c.Operands, "-"), "\x1b[2J", "the hall"}
		}
		return nil
	}
	for _, test := range []struct {
		words []string
		want  []string
	}{
		{nil, nil},
		{[]string{""}, []string{"clean", "hang"}},
		{[]string{"cl"}, []string{"clean"}},
		{[]string{"--lo"}, []string{"--loud"}},
		{[]string{"--color", "r"}, []string{"red", "rose"}},
		{[]string{"hang", "--color", "=", "b"}, []string{"blue"}},
		{[]string{"--dry", ""}, nil},
		{[]string{"--loud", "h"}, []string{"hang"}},
		{[]string{"hang", ""}, []string{"white-", "the hall"}},
		{[]string{"--color", "red", "hang", "sofa", ""}, []string{"red-sofa", "the hall"}},
		{[]string{"hang", "the sofa", "wall", ""}, nil}, // no more words follow
		{[]string{"clean", ""}, nil},
		{[]string{"nonsense", ""}, nil},
		{[]string{"--nonsense", ""}, nil},
		{[]string{"-c", "/no/such/file", "hang", ""}, nil},
	} {
		var out strings.Builder
		if status := p.Main(append([]string{completeCommand}, test.words...), nil, &out, &out); status != ExitOK {
			t.Errorf("%q: exit status %d", test.words, status)
		}
		if got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"); !slices.Equal(got, test.want) && (len(test.want) > 0 || out.Len() > 0) {
			t.Errorf("%q: %q, want %q", test.words, got, test.want)
		}
	}
}
