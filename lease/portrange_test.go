package lease_test

import (
	"slices"
	"strings"
	"testing"

	"apquic/lease"
)

func TestParsePortRange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, want string
		size       int
	}{
		{"20000-22000", "20000-22000", 2001},
		{"20000", "20000", 1},
		{"7-7", "7", 1},
		{"1-65535", "1-65535", 65535},
		{" 30000 , 20000 - 20010,40000-40010", "20000-20010,30000,40000-40010", 23},
		{"5-6,7-8", "5-6,7-8", 4},
	} {
		r, err := lease.ParsePortRange(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		ports := slices.Collect(r.All())
		if r.String() != test.want || r.Size() != test.size || len(ports) != test.size || !slices.IsSorted(ports) {
			t.Errorf("%q: %v, size %d, %d ports", test.text, r, r.Size(), len(ports))
		}
	}
}

func TestParsePortRangeErrors(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("1,", 64)
	for _, test := range []struct{ text, want string }{
		{"", `"" is not a port`},
		{",", `"" is not a port`},
		{"20000-", `"" is not a port`},
		{"-20000", `"" is not a port`},
		{"0", `"0" is not a port`},
		{"0-10", `"0" is not a port`},
		{"65536", `"65536" is not a port`},
		{"+5", `"+5" is not a port`},
		{"1-2-3", `"2-3" is not a port`},
		{"http", `"http" is not a port`},
		{"22000-20000", "ends before it begins"},
		{"1-5,5-9", "1-5 and 5-9 overlap"},
		{"10-20,1-30", "1-30 and 10-20 overlap"},
		{"7,7", "7 and 7 overlap"},
		{many + "2", "65 parts, but only 64"},
		{strings.Repeat(" ", 1025), "are too many"},
	} {
		_, err := lease.ParsePortRange(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40q: %v, want %q", test.text, err, test.want)
			continue
		}
		if hint, ok := err.(interface{ Hint() string }); !ok || !strings.Contains(hint.Hint(), "20000-22000") {
			t.Errorf("%.40q: no hint", test.text)
		}
		before := mustRange(t, "5-6")
		if err := before.UnmarshalText([]byte(test.text)); err == nil || before.String() != "5-6" {
			t.Errorf("UnmarshalText(%.40q): %v, %v", test.text, before, err)
		}
	}
}

func TestPortRangeContains(t *testing.T) {
	t.Parallel()
	r := mustRange(t, "5-7,65535,1")
	for port, want := range map[uint16]bool{0: false, 1: true, 2: false, 4: false, 5: true, 7: true, 8: false, 65534: false, 65535: true} {
		if r.Contains(port) != want {
			t.Errorf("Contains(%d) = %v", port, !want)
		}
	}
	for port := range r.All() { // may be left early
		if port != 1 {
			t.Errorf("the first port is %d", port)
		}
		break
	}
	var zero lease.PortRange
	if !zero.IsZero() || r.IsZero() || zero.Size() != 0 || zero.String() != "" || zero.Contains(0) {
		t.Error("the zero range has something in it")
	}
}

func FuzzPortRange(f *testing.F) {
	for _, seed := range []string{"20000-22000", "1,3,2", " 5 - 7 ,65535", "1-65535", "0", "9-1", "1-2-3", "", "\x00", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := lease.ParsePortRange(s)
		if err != nil {
			if !r.IsZero() {
				t.Errorf("%q: an error and a range", s)
			}
			return
		}
		text, _ := r.MarshalText()
		var again lease.PortRange
		if err := again.UnmarshalText(text); err != nil || again.String() != string(text) {
			t.Fatalf("%q became %q, which became %q: %v", s, text, again, err)
		}
		count, last := 0, 0
		for port := range r.All() {
			if int(port) <= last || !r.Contains(port) {
				t.Fatalf("%q: port %d after %d", s, port, last)
			}
			count, last = count+1, int(port)
		}
		if count == 0 || count != r.Size() {
			t.Fatalf("%q: %d ports, size %d", s, count, r.Size())
		}
	})
}

func mustRange(t testing.TB, s string) lease.PortRange {
	t.Helper()
	r, err := lease.ParsePortRange(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
