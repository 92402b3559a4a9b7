package quicproxy_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/conn"
)

// TestServerDoesNotAnswer: a person who looks at "connecting" soon reads why nothing happens, and when the
// next try comes.
func TestServerDoesNotAnswer(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startNode(expose("web", web))
		time.Sleep(sayAfter + time.Millisecond)
		if !strings.Contains(w.logged.String(), `no answer yet from the server at 203.0.113.5:8090, next try in 6s`) {
			t.Errorf("after %v the log says\n%s", sayAfter, w.logged)
		}
	})
}

// TestServerThatDiesAtOnce: a server dies again and again, or sends stateless resets as if it did. The first
// times the node is back within a second, then the pauses grow.
func TestServerThatDiesAtOnce(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startNode(expose("web", web))
		begin, connections := time.Now(), 0
		for time.Since(begin) < 10*time.Minute {
			server := w.startServer()
			up := time.Now()
			eventually(t, "connected", func() bool { return len(server.server.Status().Sessions) == 1 })
			if took := time.Since(up); connections > 0 && connections <= quickBurst && took > 2*time.Second {
				t.Errorf("after %d deaths the node was back after %v", connections, took)
			}
			connections++
			time.Sleep(time.Second) // until the server has saved where the node is
			w.crash(server)
		}
		if connections > 50 {
			t.Errorf("%d connections in ten minutes", connections)
		}
	})
}

// TestServerThatClosesAtOnce: a server that admits the node and soon closes each connection gets rarer ones,
// even if one of them lasted.
func TestServerThatClosesAtOnce(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		var lasted atomic.Bool
		polite := politely(&framing.Welcome{}, &framing.Failure{Code: uint64(framing.ErrorInternal), Text: "not now"})
		came := scriptedServer(w, func(control *conn.ControlStream, e framing.Envelope) error {
			if e.Opcode == framing.OpKeepalive {
				lasted.Store(true)
			}
			if lasted.Load() && e.Opcode != framing.OpHello {
				return control.Conn.CloseWithError(0, "")
			}
			return polite(control, e)
		})
		w.startNode(expose("web", web))
		time.Sleep(10 * time.Minute)
		if n := len(came(framing.OpHello)); !lasted.Load() || n < 5 || n > 50 {
			t.Errorf("%d connections in ten minutes", n)
		}
	})
}
