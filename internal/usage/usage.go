// Package usage is how much passed through a service, and who is told.
//
// It must not know a connection or a file.
package usage

import (
	"math"

	"apquic/certs"
	"apquic/lease"
)

// Counts are of a service, in some time.
type Counts struct {
	In          uint64 `json:"bytesIn"`     // from visitors
	Out         uint64 `json:"bytesOut"`    // to visitors
	Connections uint64 `json:"connections"` // relays begun
	Flows       uint64 `json:"flows"`       // over UDP, begun
	Refused     uint64 `json:"refused"`     // connections reset without a relay
}

// Ledger keeps what passed.
type Ledger interface {
	// Add is called with what passed since the last call with the same service, and must return soon.
	Add(key lease.Key, n Counts)
	// Month is how many bytes of the services of a node have passed in this month, in both directions.
	Month(node certs.NodeID) uint64
}

// Bytes are those of both directions.
func (c Counts) Bytes() uint64 { return plus(c.In, c.Out) }

// Plus is the sum, or the largest number if that is less.
func (c Counts) Plus(d Counts) Counts {
	return Counts{plus(c.In, d.In), plus(c.Out, d.Out), plus(c.Connections, d.Connections), plus(c.Flows, d.Flows), plus(c.Refused, d.Refused)}
}

// Since is what came after before, of counts that never decrease.
func (c Counts) Since(before Counts) Counts {
	return Counts{
		c.In - min(c.In, before.In), c.Out - min(c.Out, before.Out), c.Connections - min(c.Connections, before.Connections),
		c.Flows - min(c.Flows, before.Flows), c.Refused - min(c.Refused, before.Refused),
	}
}

func plus(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
