package quicproxy_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/quicconfig"
)

// TestAutoKeepaliveRefused: with a server that does not help, or does not know the messages, a node asks
// every 15 s, whatever it remembers.
func TestAutoKeepaliveRefused(t *testing.T) {
	for name, test := range map[string]struct {
		welcome *framing.Welcome
		probes  int // ProbeRequests that come
	}{
		"unknown opcode": {&framing.Welcome{ObservedAddress: natIP + ":32768", IdleTimeoutMilliseconds: 900_000,
			Features: framing.FeatureSet(framing.FeatureProbes).Numbers()}, 1},
		"no probes":    {&framing.Welcome{ObservedAddress: natIP + ":32768", IdleTimeoutMilliseconds: 900_000}, 0},
		"older server": {&framing.Welcome{ObservedAddress: natIP + ":32768"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				requests := fakeServer(w, test.welcome)
				store := &bindingMemory{bindings: []NATBinding{{Network: natIP + " invalid IP", Proven: 3 * time.Minute, Found: time.Now()}}}
				w.startNode(auto, func(c *NodeConfig) {
					if test.welcome.IdleTimeoutMilliseconds == 0 {
						c.NATBindings = store
					}
				})
				time.Sleep(time.Hour)
				if n := requests(framing.OpProbeRequest); n != test.probes {
					t.Errorf("%d probe requests, want %d", n, test.probes)
				}
				if n := requests(framing.OpKeepalive); n < 235 || n > 241 {
					t.Errorf("%d keepalives in an hour, want 240", n)
				}
			})
		})
	}
}

// fakeServer is a server that says what a test wants, and knows no message except Hello and Keepalive. It
// returns how often a request came.
func fakeServer(w *world, welcome *framing.Welcome) (requests func(framing.Opcode) int) {
	w.t.Helper()
	socket, err := w.machine.ListenUDP(serverUDP)
	if err != nil {
		w.t.Fatal(err)
	}
	tlsConfig, err := certs.ServerTLS(w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket, ConnectionIDLength: quicconfig.ServerConnectionIDLength}
	listener, err := transport.Listen(tlsConfig, quicconfig.Server(15*time.Minute))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { transport.Close(); socket.Close() })
	var mu sync.Mutex
	count := make(map[framing.Opcode]int)
	go func() {
		client, err := listener.Accept(context.Background())
		if err != nil {
			return
		}
		stream, err := client.AcceptStream(context.Background())
		if err != nil {
			return
		}
		control, err := conn.NewControlStream(client, stream, w.key, framing.RoleServer, 0, time.Minute)
		if err != nil {
			return
		}
		control.Serve(func(e framing.Envelope) error {
			mu.Lock()
			count[e.Opcode]++
			mu.Unlock()
			switch e.Opcode {
			case framing.OpHello:
				return control.Reply(e, framing.OpWelcome, welcome)
			case framing.OpKeepalive:
				return control.Reply(e, framing.OpKeepaliveResponse, &framing.KeepaliveResponse{ObservedAddress: welcome.ObservedAddress})
			case framing.OpDrain:
				return control.Reply(e, framing.OpDrained, &framing.Drained{})
			}
			return control.Reply(e, framing.OpFailure, &framing.Failure{Code: uint64(framing.ErrorUnknownOpcode), Text: "what?"})
		})
	}()
	return func(op framing.Opcode) int {
		mu.Lock()
		defer mu.Unlock()
		return count[op]
	}
}
