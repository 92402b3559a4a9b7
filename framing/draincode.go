package framing

import "fmt"

// DrainCode tells the peer's program why a connection is being drained (docs/protocol.md section 5.7). An
// unknown one means DrainStopped.
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
