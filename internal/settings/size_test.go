package settings

import (
	"strings"
	"testing"

	"apquic/internal/size"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"256MB": 256e6, "1GiB": 1 << 30, "64 MiB": 64 << 20, "1000": 1000, "12B": 12, "3KB": 3000, "7KiB": 7168, "9GB": 9e9,
	} {
		got, err := size.Parse(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if again, err := size.Parse(got.String()); err != nil || again != got {
			t.Errorf("%q is written as %q", text, got)
		}
	}
	for _, text := range []string{"", "MB", "-1MB", "1.5GB", "1TB", "9223372036854775807GB", "x"} {
		if _, err := size.Parse(text); err == nil {
			t.Errorf("%q is a size", text)
		}
	}
}

// TestSizeIsShownAsGiven: 16 MB, which are also 15625 KiB, are not shown as those.
func TestSizeIsShownAsGiven(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"16MB", "256MB", "64MiB", "1GiB", "1GB", "3KB", "7KiB", "12B"} {
		if again, err := size.Parse(text); err != nil || again.String() != text {
			t.Errorf("%s is shown as %v, %v", text, again, err)
		}
	}
}

// TestLeastMemory: a budget that a program could not keep to is refused, with what to do.
func TestLeastMemory(t *testing.T) {
	t.Parallel()
	check := size.CheckMemory
	for size, ok := range map[Size]bool{0: true, 1: false, 1e6: false, 16e6 - 1: false, 16e6: true, 16 << 20: true, 1 << 40: true} {
		err := check(size)
		if (err == nil) != ok {
			t.Errorf("%s: %v", size, err)
		}
		hint, _ := err.(interface{ Hint() string })
		if err != nil && (!strings.Contains(err.Error(), "is less than 16MB") || hint == nil || !strings.Contains(hint.Hint(), "16MB")) {
			t.Errorf("%s: %v, %v", size, err, hint)
		}
	}
}
