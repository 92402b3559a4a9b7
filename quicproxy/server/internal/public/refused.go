package public

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"apquic/lease"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/ruling"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/server/internal/balancer"
	"apquic/quicproxy/server/internal/refusals"
	"apquic/quicproxy/server/internal/vhost"
)

var (
	errHandshake = errors.New("no TLS with the client")
	errBalancer  = errors.New("a load balancer did not say for whom it connects")
)

// newRefused returns the counts of refused clients. docs/config.md has the reasons.
func newRefused() *refusals.Counts {
	return refusals.New("failed",
		refusals.Reason{Name: "network", Errors: []error{visitors.ErrNetwork}},
		refusals.Reason{Name: "country", Errors: []error{visitors.ErrCountry}},
		refusals.Reason{Name: "rate", Errors: []error{visitors.ErrFast, clients.ErrAddressFast}},
		refusals.Reason{Name: "address", Errors: []error{clients.ErrAddressFull, clients.ErrNetworkFull}},
		refusals.Reason{Name: "month", Errors: []error{ruling.ErrSpent}},
		refusals.Reason{Name: "service", Errors: []error{clients.ErrServiceFull}},
		refusals.Reason{Name: "node", Errors: []error{clients.ErrNodeFull, ErrTooManyRelays, context.DeadlineExceeded}},
		refusals.Reason{Name: "files", Errors: []error{clients.ErrAllFull, lease.ErrExhausted}},
		refusals.Reason{Name: "away", Errors: []error{ErrNodeAway}},
		refusals.Reason{Name: "queue", Errors: []error{errTooManyWait}},
		refusals.Reason{Name: "memory", Errors: []error{errNoMemory, errNoMoreRoom}},
		refusals.Reason{Name: "name", Errors: []error{errUnknownName, vhost.ErrNoName, vhost.ErrForeign}},
		refusals.Reason{Name: "tls", Errors: []error{errHandshake, errOtherMode}},
		refusals.Reason{Name: "balancer", Errors: []error{errBalancer, balancer.ErrTooMany}},
		refusals.Reason{Name: "closed", Errors: []error{errPortClosed}},
		// It left before it had said what it wants, or took too long to.
		refusals.Reason{Name: "silent", Errors: []error{io.EOF, io.ErrUnexpectedEOF, os.ErrDeadlineExceeded, net.ErrClosed, syscall.ECONNRESET}},
	)
}
