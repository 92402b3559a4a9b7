package private

import (
	"context"
	"errors"
	"sync"
	"time"

	"apquic/framing"
	"apquic/quicproxy"
)

// returnTime is how long a service may be away that was reached before: after a restart of the server its node and this
// one come back in any order.
const returnTime, returnEvery = 10 * time.Second, 250 * time.Millisecond

// Reached remembers which services were reached. Its zero value is ready.
type Reached struct {
	mu       sync.Mutex
	services map[string]bool
}

// Try calls connect, and again for a while if the service is not there but was before.
func (r *Reached) Try(ctx context.Context, service string, connect func() error) error {
	for begun := time.Now(); ; {
		err := connect()
		if err == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.services == nil {
				r.services = make(map[string]bool)
			}
			r.services[service] = true
			return nil
		}
		failure, ok := errors.AsType[*quicproxy.FailureError](err)
		if !ok || failure.Code != framing.ErrorNoPrivateService || !r.has(service) || time.Since(begun) > returnTime {
			return err
		}
		select {
		case <-time.After(returnEvery):
		case <-ctx.Done():
			return err
		}
	}
}

func (r *Reached) has(service string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.services[service]
}
