// Package visit counts what a node carries for a visitor, for whoever asked to be told when that ends. While nobody does
// it makes nothing.
//
// It must not know services, or where that is written.
package visit

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/quicproxy/access"
	"apquic/quicproxy/internal/bytestream"
)

// Why a visit was reset, as Visit.cause has it; what access.Relay.End says of these.
const (
	byVisitor  = iota + 1 // or by the server
	byNode                // mostly since the service did
	ofUpstream            // it did not take the connection
	forMemory
	away // the connection to the server ended
)

var causes = [...]string{"closed", byVisitor: "client", byNode: "node", ofUpstream: "refused", forMemory: "memory", away: "away"}

// Visit is the stream of a visitor, which counts what it carries.
type Visit struct {
	bytestream.Stream
	begun   time.Time
	in, out atomic.Uint64 // bytes from the visitor, and to it
	first   atomic.Int64  // after begun, the service said something; 0: it has said nothing
	cause   atomic.Int32  // of the first reset; 0: there was none
}

// Of returns the stream to use for s, and the visit over it; nil: nobody is to be told.
func Of(s bytestream.Stream, to *access.Outlet) (bytestream.Stream, *Visit) {
	if !to.Wants() {
		return s, nil
	}
	v := &Visit{Stream: s, begun: time.Now()}
	return v, v
}

// Ended says what there is to say of a visit that has ended; others know of which node and service.
func (v *Visit) Ended(header *framing.StreamHeader, domain string) access.Relay {
	told := access.Relay{
		Domain: domain, Client: header.ClientAddress, Begun: v.begun, Lasted: time.Since(v.begun), FirstByte: time.Duration(v.first.Load()),
		In: v.in.Load(), Out: v.out.Load(), Resumed: v.Resumed(), End: causes[v.cause.Load()],
	}
	if at, err := netip.ParseAddrPort(header.PublicAddress); err == nil && domain == "" {
		told.Port = at.Port()
	}
	return told
}

// Read implements bytestream.Stream.
func (v *Visit) Read(b []byte) (int, error) {
	n, err := v.Stream.Read(b)
	v.in.Add(uint64(n))
	v.failed(err)
	return n, err
}

// Write implements bytestream.Stream.
func (v *Visit) Write(b []byte) (int, error) {
	n, err := v.Stream.Write(b)
	v.wrote(n, err)
	return n, err
}

// WriteBuffer implements bytestream.Stream.
func (v *Visit) WriteBuffer(p []byte) error {
	n := len(p) // others have it then
	err := v.Stream.WriteBuffer(p)
	if err != nil {
		n = 0
	}
	v.wrote(n, err)
	return err
}

func (v *Visit) wrote(n int, err error) {
	if n > 0 && v.out.Add(uint64(n)) == uint64(n) {
		v.first.Store(int64(time.Since(v.begun)) + 1)
	}
	v.failed(err)
}

// failed notes an error that says how the visit ends.
func (v *Visit) failed(err error) {
	if err == nil {
		return
	}
	if _, reset := errors.AsType[*bytestream.ResetError](err); reset {
		v.because(byVisitor)
	} else if errors.Is(err, bytestream.ErrLost) {
		v.because(away)
	}
}

// because notes the first cause.
func (v *Visit) because(cause int32) { v.cause.CompareAndSwap(0, cause) }

// Watch implements bytestream.Stream.
func (v *Visit) Watch(ended func(reset bool)) {
	v.Stream.Watch(func(reset bool) {
		if reset {
			v.because(byVisitor)
		}
		ended(reset)
	})
}

// Reset implements bytestream.Stream.
func (v *Visit) Reset(code framing.ErrorCode) {
	v.because(causeOf(code))
	v.Stream.Reset(code)
}

// Discard implements bytestream.Stream.
func (v *Visit) Discard(code framing.ErrorCode) {
	v.because(causeOf(code))
	v.Stream.Discard(code)
}

func causeOf(code framing.ErrorCode) int32 {
	switch code {
	case framing.ErrorUpstreamRefused, framing.ErrorUpstreamUnreachable, framing.ErrorUpstreamTimeout:
		return ofUpstream
	case framing.ErrorRelayStalled:
		return forMemory
	}
	return byNode
}
