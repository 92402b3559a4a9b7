package quicproxy_test

import (
	"bufio"
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/internal/quicconfig"
	"apquic/quicproxy/internal/quicstream"
)

// TestDeafNode: a node that does not read its control stream, and makes the server answer a lot, costs a
// bounded amount and is closed in the end.
func TestDeafNode(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) { c.IdleTimeout = 30 * time.Second })
		a := newAttacker(w, 1, true)
		client := w.visit("20000")
		stream, err := a.conn.AcceptStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		quicstream.Reset(stream, framing.ErrorNodeBusy)
		if err := wantRead(client, "", syscall.ECONNRESET); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		named := &framing.Progress{Relays: []*framing.RelayProgress{{Relay: 1}}}
		a.stream.SetWriteDeadline(time.Now().Add(5 * time.Minute))
		for i := range 20_000 { // the answers are more than the window of the stream
			if _, err := a.stream.Write(seal(t, a.sealer, framing.OpProgress, named, 0, false)); err != nil {
				break
			}
			time.Sleep(30 * time.Millisecond)
			if i%500 == 499 {
				if n := goroutines("sendNews"); n > 1 {
					t.Fatalf("%d goroutines wait for the node to read, want one", n)
				}
			}
		}
		<-a.conn.Context().Done()
		code, ok := errors.AsType[*quic.ApplicationError](context.Cause(a.conn.Context()))
		if !ok || framing.ErrorCode(code.ErrorCode) != framing.ErrorKeepaliveTimeout {
			t.Errorf("closed with %v", context.Cause(a.conn.Context()))
		}
	})
}

// TestDeafSuperseded: a connection whose control stream is blocked ends like any other when a newer one
// replaces it.
func TestDeafSuperseded(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		a := newAttacker(w, 1, true)
		for range 600 { // whose answers are more than the window of the stream
			if a.request(framing.OpKeepalive, &framing.Keepalive{Observe: true}) != nil {
				break
			}
		}
		time.Sleep(5 * time.Second)
		newAttacker(w, 1, false)
		begin := time.Now()
		<-a.conn.Context().Done()
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("closed after %v", took)
		}
		end, ok := errors.AsType[*quic.ApplicationError](context.Cause(a.conn.Context()))
		if !ok || framing.ErrorCode(end.ErrorCode) != framing.ErrorSuperseded {
			t.Errorf("closed with %v", context.Cause(a.conn.Context()))
		}
	})
}

// monkeyServer is a server played by a test.
func monkeyServer(w *world) (next func() (*peer, *framing.Sealer)) {
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
	listener, err := transport.Listen(tlsConfig, quicconfig.Server(time.Minute))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { transport.Close(); socket.Close() })
	return func() (*peer, *framing.Sealer) {
		w.t.Helper()
		conn, err := listener.Accept(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		stream, err := conn.AcceptStream(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		id := w.nodeKey.ID()
		p := &peer{t: w.t, conn: conn, stream: stream, reader: bufio.NewReader(stream),
			opener: framing.NewOpener(id[:], framing.RoleNode, bindingOf(w.t, conn, 0))}
		if envelope, err := p.opener.Open(p.reader); err != nil || envelope.Opcode != framing.OpHello {
			w.t.Fatalf("%+v %v", envelope, err)
		}
		return p, p.sealer(w.key, framing.RoleServer, 0)
	}
}

// TestProgressBeforeWelcome: Progress before Welcome is a protocol error, and not waited for.
func TestProgressBeforeWelcome(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		next := monkeyServer(w)
		w.startNode(expose("web", web))
		p, s := next()
		begin := time.Now()
		p.write(seal(t, s, framing.OpProgress, &framing.Progress{}, 0, false))
		p.wantClose(framing.ErrorUnexpectedMessage)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

// TestTinyIdleTimeout: a server that claims an idle timeout of a millisecond does not make the node send
// keepalives without pause.
func TestTinyIdleTimeout(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		requests := fakeServer(w, &framing.Welcome{ObservedAddress: natIP + ":1", IdleTimeoutMilliseconds: 1})
		w.startNode(expose("web", web), auto)
		time.Sleep(10 * time.Minute)
		if n := requests(framing.OpKeepalive); n < 10*60/20 || n > 10*60/10 {
			t.Errorf("%d keepalives in ten minutes", n)
		}
	})
}

// TestRetryAfter: a node that is asked to wait does so, and asks for nothing else meanwhile.
func TestRetryAfter(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		next := monkeyServer(w)
		w.startNode(expose("a", web), expose("b", web), expose("c", web))
		p, s := next()
		p.write(seal(t, s, framing.OpWelcome, &framing.Welcome{}, 1, true))
		asked := func() (nonce uint64, at time.Time) {
			for {
				envelope, err := p.opener.Open(p.reader)
				if err != nil {
					t.Fatal(err)
				}
				switch envelope.Opcode {
				case framing.OpProxyRequest:
					return envelope.RequestNonce, time.Now()
				case framing.OpKeepalive:
					p.write(seal(t, s, framing.OpKeepaliveResponse, &framing.KeepaliveResponse{}, envelope.RequestNonce, true))
				}
			}
		}
		nonce, first := asked()
		const wait = 100 * time.Second
		p.write(seal(t, s, framing.OpFailure, &framing.Failure{
			Code: uint64(framing.ErrorBusy), Text: "too often", RetryAfterMilliseconds: uint64(wait.Milliseconds()),
		}, nonce, true))
		if _, second := asked(); second.Sub(first) < wait || second.Sub(first) > wait+wait/4+time.Second {
			t.Errorf("asked again after %v", second.Sub(first))
		}
	})
}

// TestNewestEndsFirst: the newest process loses its connection while an older one still carries a relay. The
// older one has not replaced it, so its relays wait for it.
func TestNewestEndsFirst(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		w.serveTCP(web, echo)
		w.startNode(expose("web", web)).leasesWait(t)
		old := w.visit("20000")
		exchange(t, old, "of the older process")
		w.startNode(expose("web", web)).leasesWait(t)
		c := w.visit("20000")
		exchange(t, c, "of the newer process")
		primary := server.server.Inspect().Primary
		primary[len(primary)-1].QUIC.CloseWithError(99, "a test")
		exchange(t, c, "still there")
		exchange(t, old, "this one, too")
	})
}
