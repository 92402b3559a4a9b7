// Package size is about numbers of bytes as people write them.
//
// It must not decide what else a size is for than a memory budget and a limit of bytes per second.
package size

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"apquic/internal/hint"
)

// Size is a number of bytes, written as in "256MB" or "1GiB".
type Size int64

// maxShown is how much of a text an error shows, in bytes.
const maxShown = 80

type unit struct {
	name  string
	bytes Size
}

// units are those of a Size, larger ones first. Without a unit it is bytes.
var units = []unit{
	{"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1}, {"", 1},
}

// Parse reads a Size.
func Parse(text string) (Size, error) {
	for _, unit := range units {
		digits, found := strings.CutSuffix(text, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		switch {
		case err != nil || n < 0:
			return 0, fmt.Errorf("%s is not a size such as 256MB or 1GiB", hint.Printable(text, maxShown))
		case n > math.MaxInt64/int64(unit.bytes):
			return 0, errors.New("the size is too large")
		}
		return Size(n) * unit.bytes, nil
	}
	return 0, nil // not reached: the last unit is always found
}

// String formats a Size in the largest unit that gives a whole number, and 0, which stands for none, as
// empty.
func (s Size) String() string {
	if s == 0 {
		return ""
	}
	i := slices.IndexFunc(units, func(u unit) bool { return s%u.bytes == 0 })
	return fmt.Sprintf("%d%s", s/units[i].bytes, units[i].name)
}

// LeastMemory is the smallest memory budget that a program can keep: data in flight and buffers in use take
// some megabytes whatever the budget is (TestFirstBurst in e2e/hostile).
const LeastMemory Size = 16e6

// CheckMemory checks a memory budget; 0 is the default.
func CheckMemory(s Size) error {
	if s == 0 || s >= LeastMemory {
		return nil
	}
	return hint.Add(fmt.Errorf("%s is less than 16MB, the smallest budget that the program can keep", s),
		"allow 16MB or more, or leave it out for an eighth of the machine's memory")
}
