package size

import (
	"fmt"

	"apquic/internal/hint"
)

// LeastAmount is the smallest limit of bytes in a month, and mostAmount the largest.
const LeastAmount, mostAmount = 1 << 20, 1 << 60

// ParseAmount reads a limit of bytes in a month; 0: none.
func ParseAmount(s string) (int64, error) {
	n, err := Parse(s)
	if err == nil && CheckAmount(int64(n)) != nil {
		err = fmt.Errorf("%s is not from %v to %v", hint.Readable(s), Size(LeastAmount), Size(mostAmount))
	}
	return int64(n), err
}

// CheckAmount returns why a number is no limit of bytes in a month.
func CheckAmount(n int64) error {
	if n == 0 || n >= LeastAmount && n <= mostAmount {
		return nil
	}
	return fmt.Errorf("%d bytes are not from %v to %v", n, Size(LeastAmount), Size(mostAmount))
}
