package table

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rows [][]string
		want string
	}{
		{nil, ""},
		{[][]string{{"A", "B"}, {"longer", ""}, {"a line of its own"}, {"x", "y"}}, "A       B\nlonger\na line of its own\nx       y\n"},
		{[][]string{{"A", "B"}, nil, {"longer", "B"}}, "A  B\n\nlonger  B\n"},
		{[][]string{{"esc\x1b[2J", "b"}}, "esc [2J  b\n"},
		{[][]string{{"漢字", "b"}, {"abcd", "c"}}, "漢字  b\nabcd  c\n"},
		{[][]string{{strings.Repeat("x", 100)}}, strings.Repeat("x", 79) + "…\n"},
		{[][]string{{strings.Repeat("x", 100), "20000", strings.Repeat("y", 30)}}, strings.Repeat("x", 40) + "…  20000  " + strings.Repeat("y", 30) + "\n"},
		{[][]string{{strings.Repeat("x", 100), strings.Repeat("漢", 50)}}, strings.Repeat("x", 38) + "…  " + strings.Repeat("漢", 19) + "…\n"},
	} {
		var got strings.Builder
		Write(&got, test.rows)
		if got.String() != test.want {
			t.Errorf("got\n%swant\n%s", got.String(), test.want)
		}
	}
}

// FuzzWrite: whatever is in the cells, each line has 80 columns at most, and nothing that a terminal would obey.
func FuzzWrite(f *testing.F) {
	f.Add("a\x1b]0;title\x07", "b\r\nc", strings.Repeat("漢", 99), "\u202eevil")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		var got strings.Builder
		Write(&got, [][]string{{"NODE", "SERVICE", "CLIENT", "STATE"}, {a, b, c, d}, {d}, {c, a}})
		if !utf8.ValidString(got.String()) || strings.Count(got.String(), "\n") != 4 {
			t.Errorf("%q", got.String())
		}
		for line := range strings.Lines(got.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := Columns(line); n > 80 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' }) {
				t.Errorf("%d columns: %q", n, line)
			}
		}
	})
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 s", 59 * time.Second: "59 s", time.Minute: "1 min", 59 * time.Minute: "59 min", 23 * time.Hour: "23 h", 400 * 24 * time.Hour: "400 d",
	} {
		if got := Age(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_949_999: "9.9 MB", 14_200_000: "14 MB", 31e9: "31 GB", 1 << 63: "9223 PB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for _, test := range []struct {
		before, now uint64
		passed      time.Duration
		want        uint64
	}{{10, 30, 2 * time.Second, 10}, {30, 10, time.Second, 0}, {0, 5, 0, 0}, {0, 1 << 63, time.Second, 1 << 63}} {
		if got := Rate(test.before, test.now, test.passed); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}
