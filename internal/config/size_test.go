package config

import (
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"256MB": 256e6, "1GiB": 1 << 30, "64 MiB": 64 << 20, "1000": 1000, "12B": 12, "3KB": 3000, "7KiB": 7168, "9GB": 9e9,
	} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		var again Size
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q is written as %q", text, got)
		}
	}
	for _, text := range []string{"", "MB", "-1MB", "1.5GB", "1TB", "9223372036854775807GB", "x"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is a size", text)
		}
	}
}

// TestLeastMemory: a budget that a program could not keep to is refused, with what to do.
func TestLeastMemory(t *testing.T) {
	t.Parallel()
	for size, ok := range map[Size]bool{0: true, 1: false, 1e6: false, 16e6 - 1: false, 16e6: true, 16 << 20: true, 1 << 40: true} {
		err := checkMemory(size)
		if (err == nil) != ok {
			t.Errorf("%s: %v", size, err)
		}
		hint, _ := err.(interface{ Hint() string })
		if err != nil && (!strings.Contains(err.Error(), "is less than 16MB") || hint == nil || !strings.Contains(hint.Hint(), "16MB")) {
			t.Errorf("%s: %v, %v", size, err, hint)
		}
	}
}
