package carrier

import (
	"crypto/rand"
	"encoding/binary"
)

// NewInstance is the number that a process chooses at its start; not 0.
func NewInstance() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) | 1
}
