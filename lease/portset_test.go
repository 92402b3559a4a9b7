package lease

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPortSet(t *testing.T) {
	t.Parallel()
	for range 100 {
		s, want := new(portSet), []uint16{}
		for _, port := range []uint16{1, 63, 64, 65, 127, 128, 65534, 65535, uint16(rand.N(1 << 16)), uint16(rand.N(1 << 16))} {
			if s.add(port); rand.N(3) == 0 {
				s.remove(port)
			} else if port != 0 {
				want = append(want, port)
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		want = slices.DeleteFunc(want, func(port uint16) bool { return s[port/64]&(1<<(port%64)) == 0 })
		var got []uint16
		for port, ok := s.after(0); ok; port, ok = s.after(port) {
			got = append(got, port)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
