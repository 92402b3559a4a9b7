package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"apquic/internal/hint"
)

// Size is a number of bytes, written such as "256MB" or "1GiB".
type Size int64

// units are those of a Size, the larger ones first. Without a unit it is bytes.
var units = []struct {
	name  string
	bytes Size
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}, {"", 1},
}

// UnmarshalText reads a Size.
func (s *Size) UnmarshalText(text []byte) error {
	for _, unit := range units {
		digits, found := strings.CutSuffix(string(text), unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		switch {
		case err != nil || n < 0:
			return fmt.Errorf("%s is no size", readable(string(text)))
		case n > math.MaxInt64/int64(unit.bytes):
			return errors.New("the size is too large")
		}
		*s = Size(n) * unit.bytes
		return nil
	}
	return nil // not reached: the last unit is always found
}

// MarshalText writes a Size with the largest unit that it is a whole number of.
func (s Size) MarshalText() ([]byte, error) {
	if s == 0 {
		return nil, nil // the default
	}
	for _, unit := range units {
		if s%unit.bytes == 0 {
			return fmt.Appendf(nil, "%d%s", s/unit.bytes, unit.name), nil
		}
	}
	return nil, nil // not reached
}

func (s Size) String() string {
	text, _ := s.MarshalText()
	return string(text)
}

// parseSize is for keys of files.
func parseSize(text string) (s Size, err error) {
	err = s.UnmarshalText([]byte(text))
	return s, err
}

// leastMemory is the smallest budget of memory that a program can keep to: what is on its way in its connections, and
// the buffers in hand, are some megabytes whatever the budget is (TestFirstBurst in e2e/hostile).
const leastMemory Size = 16e6

// checkMemory bounds a memory budget; 0 is the default.
func checkMemory(s Size) error {
	if s == 0 || s >= leastMemory {
		return nil
	}
	return hint.Add(fmt.Errorf("%s is less than 16MB, which the program needs to keep to it", s),
		"allow 16MB or more, or leave it out: then it is an eighth of the machine's")
}
