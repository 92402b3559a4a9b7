package quicproxy_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"apquic/framing"
)

// TestRenewalsAreFree: a node with many services that keeps reconnecting waits for nothing, since its leases
// stay as they are and nothing is written; requests that write still count.
func TestRenewalsAreFree(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		const services = 100
		var writes atomic.Int64
		w.store = countingStore{w.store, &writes}
		w.startServer(func(c *ServerConfig) { c.MaxServices = services })
		connect := func() (took time.Duration) {
			a := newAsker(w, &framing.Hello{Instance: 1})
			begin := time.Now()
			for i := range services {
				a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: fmt.Sprint("s", i)}, framing.OpProxyResponse, 0)
			}
			return time.Since(begin)
		}
		connect()
		before := writes.Load()
		for i := range 3 {
			if took := connect(); took > 5*time.Second {
				t.Errorf("reconnection %d waited %v", i+1, took)
			}
			time.Sleep(10 * time.Second)
		}
		if n := writes.Load() - before; n != 0 {
			t.Errorf("%d writes, although nothing changed", n)
		}
	})
}
