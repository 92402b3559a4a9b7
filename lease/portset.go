package lease

import "math/bits"

// portSet is a set of ports that finds the next one without looking at each.
type portSet [1 << 16 / 64]uint64

func (s *portSet) add(port uint16)    { s[port/64] |= 1 << (port % 64) }
func (s *portSet) remove(port uint16) { s[port/64] &^= 1 << (port % 64) }

// after returns the lowest member above port.
func (s *portSet) after(port uint16) (next uint16, ok bool) {
	first := int(port) + 1
	for word := first / 64; word < len(s); word++ {
		members := s[word]
		if word == first/64 {
			members &= ^uint64(0) << (first % 64)
		}
		if members != 0 {
			return uint16(64*word + bits.TrailingZeros64(members)), true
		}
	}
	return 0, false
}
