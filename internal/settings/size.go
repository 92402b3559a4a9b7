package settings

import (
	"fmt"

	"apquic/internal/hint"
	"apquic/internal/size"
)

// Size is a number of bytes, written as in "256MB" or "1GiB".
type Size = size.Size

// leastMemory is the smallest memory budget that a program can keep: data in flight and buffers in use take
// some megabytes whatever the budget is (TestFirstBurst in e2e/hostile).
const leastMemory Size = 16e6

// checkMemory checks a memory budget; 0 is the default.
func checkMemory(s Size) error {
	if s == 0 || s >= leastMemory {
		return nil
	}
	return hint.Add(fmt.Errorf("%s is less than 16MB, the smallest budget that the program can keep", s),
		"allow 16MB or more, or leave it out for an eighth of the machine's memory")
}
