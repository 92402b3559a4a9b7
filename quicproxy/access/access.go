// Package access is what a server, or a node, says of each public connection when that has ended, to whoever
// asked for it. Nothing is made for it while nobody does.
//
// It must not know where that is written.
package access

import (
	"sync/atomic"
	"time"

	"apquic/certs"
)

// Relay is a public connection that a node had and that has ended.
type Relay struct {
	Node      certs.NodeID
	Name      string // what the operator calls the node; may be empty
	Service   string // or the group
	Port      uint16 // 0: it came for a domain, or to a private service
	Domain    string
	Client    string    // ip:port of the visitor
	Begun     time.Time // when the node got it
	Lasted    time.Duration
	FirstByte time.Duration // how long it waited for the first byte of the service; 0: none came
	In, Out   uint64        // bytes from the visitor and to it
	Resumed   uint64        // how often it went on over another stream
	End       string        // why: see docs/config.md
}

// Outlet is whom a server or node tells; nil, and the zero value: nobody.
type Outlet struct{ to atomic.Pointer[func(Relay)] }

// Set has a function called from now on; nil: none. It may be called by many at once, and must return at once.
func (o *Outlet) Set(to func(Relay)) {
	if to == nil {
		o.to.Store(nil)
		return
	}
	o.to.Store(&to)
}

// Wants reports whether somebody is told.
func (o *Outlet) Wants() bool { return o != nil && o.to.Load() != nil }

// Tell tells of one.
func (o *Outlet) Tell(r Relay) {
	if to := o.to.Load(); to != nil {
		(*to)(r)
	}
}
