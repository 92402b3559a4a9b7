package relay

import "apquic/framing"

// Why a relay was reset, as Relay.cause has it.
const (
	byTCP     = iota + 1 // an error of the TCP connection
	bySide               // this side, for another reason
	forMemory            // this side
	early                // the other side, before anything came from it
	late                 // the other side
)

// causes are what End says.
var causes = [...]string{"closed", byTCP: "client", bySide: "server", forMemory: "memory", early: "refused", late: "node"}

func causeOf(code framing.ErrorCode) int32 {
	if code == framing.ErrorRelayStalled {
		return forMemory
	}
	return bySide
}

func byOther(came bool) int32 {
	if came {
		return late
	}
	return early
}

// Refused reports whether the other side reset the relay before anything came from it.
func (r *Relay) Refused() bool { return r.cause.Load() == early }

// End says, in a word, why the relay has ended, as a server sees it: closed, both directions were; client or node, that
// one reset it; refused, the node did so before anything came from it; memory, for lack of it; server, for another reason.
func (r *Relay) End() string {
	cause := r.cause.Load()
	if cause == 0 && r.reset.Load() {
		cause = byOther(r.toTCP.Load() > 0)
	}
	return causes[cause]
}
