package quicproxy_test

import (
	"context"
	"errors"
	"math"
	"net"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/conn"
)

// TestNodeHeedsRetryAfter: a node asks again when the server says, within bounds that the server cannot
// change.
func TestNodeHeedsRetryAfter(t *testing.T) {
	for name, test := range map[string]struct {
		milliseconds uint64
		least, most  time.Duration // between two requests
	}{
		"a minute":   {60_000, time.Minute, 75*time.Second + time.Second},
		"at once":    {1, time.Second, 2 * time.Second},
		"for ever":   {math.MaxUint64, 10 * time.Minute, 12*time.Minute + 31*time.Second},
		"an overrun": {1 << 63, 10 * time.Minute, 12*time.Minute + 31*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				came := scriptedServer(w, politely(&framing.Welcome{}, &framing.Failure{
					Code: uint64(framing.ErrorBusy), Text: "later", RetryAfterMilliseconds: test.milliseconds,
				}))
				w.startNode(expose("web", web))
				during := min(40*time.Minute, 100*test.most)
				time.Sleep(during)
				times := came(framing.OpProxyRequest)
				if len(times) < 3 {
					t.Fatalf("%d requests in %v", len(times), during)
				}
				for i := range times[1:] {
					if pause := times[i+1].Sub(times[i]); pause < test.least || pause > test.most {
						t.Errorf("asked again after %v, want %v to %v", pause, test.least, test.most)
					}
				}
			})
		})
	}
}

// TestRefusedServiceHoldsNoOtherUp: a service that must wait does not keep a new one from being requested.
func TestRefusedServiceHoldsNoOtherUp(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		came := scriptedServer(w, politely(&framing.Welcome{}, &framing.Failure{
			Code: uint64(framing.ErrorRangeFull), Text: "later", RetryAfterMilliseconds: 300_000,
		}))
		node := w.startNode(expose("web", web))
		eventually(t, "asked", func() bool { return len(came(framing.OpProxyRequest)) == 1 })
		time.Sleep(time.Minute)
		go node.node.Listen(t.Context(), "other")
		time.Sleep(time.Second)
		if n := len(came(framing.OpProxyRequest)); n != 2 {
			t.Errorf("%d requests, want one for each service", n)
		}
	})
}

// TestBusyServerIsLeftAlone: a server that has too many requests of the node is not asked for its other
// services meanwhile.
func TestBusyServerIsLeftAlone(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		came := scriptedServer(w, politely(&framing.Welcome{}, &framing.Failure{
			Code: uint64(framing.ErrorBusy), Text: "later", RetryAfterMilliseconds: 60_000,
		}))
		w.startNode(expose("a", web), expose("b", web), expose("c", web))
		time.Sleep(10*time.Minute + 30*time.Second)
		if n := len(came(framing.OpProxyRequest)); n < 8 || n > 11 {
			t.Errorf("%d requests in ten minutes, want one in each", n)
		}
	})
}

// TestWithdrawnWhileRefused: nothing is left of a service that is withdrawn before it got an address.
func TestWithdrawnWhileRefused(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		came := scriptedServer(w, politely(&framing.Welcome{}, &framing.Failure{
			Code: uint64(framing.ErrorRangeFull), Text: "later", RetryAfterMilliseconds: 60_000,
		}))
		node := w.startNode()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := node.node.Listen(ctx, "other"); err == nil {
			t.Fatal("it got an address")
		}
		before := len(came(framing.OpProxyRequest))
		time.Sleep(10 * time.Minute) // a loop without a pause would not let time pass
		if n := len(came(framing.OpProxyRequest)); before != 1 || n != before {
			t.Errorf("%d requests, then %d", before, n)
		}
	})
}

// TestNodeHeedsRetryAfterHello: the same for a node that is not admitted.
func TestNodeHeedsRetryAfterHello(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		failure := &framing.Failure{Code: uint64(framing.ErrorShutdown), Text: "later", RetryAfterMilliseconds: 120_000}
		came := scriptedServer(w, func(control *conn.ControlStream, e framing.Envelope) error {
			return control.Reply(e, framing.OpFailure, failure)
		})
		w.startNode(expose("web", web))
		time.Sleep(20 * time.Minute)
		times := came(framing.OpHello)
		if len(times) < 7 || len(times) > 10 {
			t.Errorf("%d attempts in 20 minutes", len(times))
		}
		for i := range times[1:] {
			if pause := times[i+1].Sub(times[i]); pause < 2*time.Minute {
				t.Errorf("came again after %v", pause)
			}
		}
	})
}

// TestServerSaysWhen: where the server knows when a retry is worthwhile, it says so.
func TestServerSaysWhen(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) {
			c.Admit = admitOnly(w.nodeKey.ID())
			listen := c.ListenPublic
			c.ListenPublic = func(port uint16) (net.Listener, error) {
				if port == 20001 {
					return nil, errors.New("in use")
				}
				return listen(port)
			}
		})
		p := dialServer(w)
		s := p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		var welcome framing.Welcome
		if err := p.wantReply(1, framing.OpWelcome, 0).Decode(&welcome); err != nil || welcome.GetLimits().GetMaxServices() != 5 {
			t.Errorf("limits %v (%v)", welcome.Limits, err)
		}
		retry := func(nonce uint64, code framing.ErrorCode) uint64 {
			var failure framing.Failure
			if err := p.wantReply(nonce, framing.OpFailure, code).Decode(&failure); err != nil {
				t.Fatal(err)
			}
			return failure.RetryAfterMilliseconds
		}
		p.write(seal(t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", WantedPort: 80}, 2, false))
		if got := retry(2, framing.ErrorPortOutOfRange); got != 0 {
			t.Errorf("what is wrong for ever: after %d ms", got)
		}

		p = dialServer(w)
		s = p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 2, Standby: true}, 1, false))
		if got := retry(1, framing.ErrorBusy); got != 30_000 {
			t.Errorf("another process is connected: after %d ms", got)
		}

		w.nodeKey = newKey(t)
		p = dialServer(w)
		s = p.sealer(w.nodeKey, framing.RoleNode, 0)
		p.write(seal(t, s, framing.OpHello, &framing.Hello{Instance: 1}, 1, false))
		if got := retry(1, framing.ErrorNotAuthorized); got != 30_000 {
			t.Errorf("not authorized: after %d ms", got)
		}
	})
}

// admitOnly admits one node.
type admitOnly certs.NodeID

func (a admitOnly) Revision(context.Context) uint64 { return 0 }

func (a admitOnly) Admit(_ context.Context, applicant admission.Applicant) (admission.Admission, error) {
	if applicant.Node != certs.NodeID(a) {
		return admission.Admission{}, admission.ErrNotAuthorized
	}
	return admission.Admission{Services: 5, Known: true}, nil
}

// TestRestartingServer: the nodes of a server that announces its restart are back at once.
func TestRestartingServer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		restarts := func(c *ServerConfig) { c.Restarting = func() bool { return true } }
		server := w.startServer(restarts)
		w.startNode(expose("web", web)).leasesWait(t)
		time.Sleep(lasting + time.Second)
		for range 10 {
			server.stop()
			server = w.startServer(restarts)
			begin := time.Now()
			for len(server.server.Status().Sessions) == 0 {
				if time.Sleep(time.Millisecond); time.Since(begin) > time.Minute {
					t.Fatal("never back")
				}
			}
			if took := time.Since(begin); took > restartPause+100*time.Millisecond {
				t.Errorf("back after %v", took)
			}
			time.Sleep(lasting + time.Second)
		}
	})
}

// TestServerThatOnlySaysThatItRestarts: a node that believed the announcement waits as long as ever.
func TestServerThatOnlySaysThatItRestarts(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		came := scriptedServer(w, func(control *conn.ControlStream, e framing.Envelope) error {
			if err := politely(&framing.Welcome{}, &framing.Failure{Code: 1})(control, e); err != nil || e.Opcode != framing.OpHello {
				return err
			}
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				control.Request(ctx, framing.OpDrain, &framing.Drain{Code: uint32(framing.DrainRestarting)}, framing.OpDrained, new(framing.Drained))
				control.Stream.Close()
			}()
			return nil
		})
		w.startNode(expose("web", web))
		time.Sleep(10 * time.Minute)
		if n := len(came(framing.OpHello)); n < 10 || n > 60 {
			t.Errorf("%d connections in ten minutes", n)
		}
	})
}
