package framing

import "fmt"

// DrainCode says to the program at the other side why a connection is being drained (docs/protocol.md section 5.7). One
// that is not known means what DrainStopped means.
type DrainCode uint32

const (
	DrainNotTold    DrainCode = 0
	DrainStopped    DrainCode = 1
	DrainRestarting DrainCode = 2
	DrainLaneIdle   DrainCode = 3
)

var drainNames = map[DrainCode]string{
	DrainNotTold: "not told", DrainStopped: "stopped", DrainRestarting: "restarting", DrainLaneIdle: "lane idle",
}

func (c DrainCode) String() string {
	if name, ok := drainNames[c]; ok {
		return name
	}
	return fmt.Sprintf("drain code %d", uint32(c))
}
