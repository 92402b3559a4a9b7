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
	if err == nil && n != 0 && (n < LeastRate || n > mostRate) {
		err = fmt.Errorf("%s per second is not from %v to %v", hint.Readable(s), Size(LeastRate), Size(mostRate))
	}
	return int64(n), err
}
