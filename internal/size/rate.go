package size

import (
	"fmt"

	"apquic/internal/hint"
)

// WantRate is what [ParseRate] reads, for people.
const WantRate = `bytes per second such as "1MB"`

// LeastRate is the smallest limit of bytes per second, and mostRate the largest.
const LeastRate, mostRate = 1 << 10, 1 << 40

// ParseRate reads a limit of bytes per second; 0: none.
func ParseRate(s string) (int64, error) {
	n, err := Parse(s)
	if err == nil && CheckRate(int64(n)) != nil {
		err = fmt.Errorf("%s per second is not from %v to %v", hint.Readable(s), Size(LeastRate), Size(mostRate))
	}
	return int64(n), err
}

// CheckRate returns why a number is no limit of bytes per second.
func CheckRate(n int64) error {
	if n == 0 || n >= LeastRate && n <= mostRate {
		return nil
	}
	return fmt.Errorf("%d bytes per second are not from %v to %v", n, Size(LeastRate), Size(mostRate))
}
