package quicproxy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apquic/certs/acme"
	"apquic/internal/testrace"
)

// ordering is a terminator that gets certificates from an authority, which is away and counts.
type ordering struct {
	*terminator
	*acme.Certificates
	asked atomic.Int64
}

func (o *ordering) Want(domain, node string)   { o.Certificates.Want(domain, node) }
func (o *ordering) Forget(domain, node string) { o.Certificates.Forget(domain, node) }
func (o *ordering) Challenge(domain, path string) ([]byte, bool) {
	return o.Certificates.Challenge(domain, path)
}

// RoundTrip implements http.RoundTripper.
func (o *ordering) RoundTrip(*http.Request) (*http.Response, error) {
	o.asked.Add(1)
	return nil, errors.New("the authority is away")
}

// TestNodeFloodsOrders: a node that asks for ever new domains makes the server ask the authority no more often than it
// may, and the domain of another node has its turn.
func TestNodeFloodsOrders(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const burst, hourly = 4, 2
		hours := int64(testrace.Whole(3, 1))
		o := &ordering{terminator: newTerminator(t)}
		o.Certificates = acme.New(acme.Config{
			Directory: "https://authority.example", Folder: t.TempDir(), Client: &http.Client{Transport: o}, Log: slog.New(slog.DiscardHandler),
			Limits: acme.Limits{Burst: burst, Hourly: hourly, BurstOfAll: 50, HourlyOfAll: 50},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { o.Run(ctx) })
		defer running.Wait()
		defer cancel()
		server := w.startServer(w.withDomains, func(c *ServerConfig) { c.Terminator = o })
		hostile := newKey(t)
		begun, leased := time.Now(), 0
		for i := 0; time.Since(begun) < time.Duration(hours)*time.Hour; i++ {
			node := w.startNode(func(c *NodeConfig) {
				c.Key = hostile
				for j := range 8 {
					c.Services = append(c.Services, Service{Name: fmt.Sprint("web", j), Upstream: plainWeb, Domain: fmt.Sprintf("a%d-%d.example.org", i, j), TLS: 2})
				}
			})
			leased += len(node.leases.wait(t, 8))
			time.Sleep(2 * time.Minute)
			node.stop()
		}
		if n := o.asked.Load(); n > burst+hourly*hours+1 || n < burst || leased < int(hours)*170 {
			t.Errorf("for %d domains the authority was asked %d times in %d hours", leased, n, hours)
		}
		before := o.asked.Load()
		w.startNode(exposeEnded("web", plainWeb, "www.neighbour.example", 2)).leases.wait(t, 1)
		time.Sleep(time.Minute)
		if o.asked.Load() == before || o.Delayed() == 0 {
			t.Errorf("the neighbour's domain had no turn; %d waited", o.Delayed())
		}
		server.stop()
	})
}
