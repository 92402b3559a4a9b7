package carrier

import (
	"crypto/rand"
	"encoding/binary"
)

// NewInstance returns the number of a process, chosen at its start; not 0.
func NewInstance() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) | 1
}
