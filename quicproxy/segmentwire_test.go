package quicproxy

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/segments"
)

// movingPeer is a node by hand that has the service web, of which relays move.
func movingPeer(w *world) (*peer, *framing.Sealer) {
	w.t.Helper()
	p := dialServer(w)
	s := p.sealer(w.nodeKey, framing.RoleNode, 0)
	p.write(seal(w.t, s, framing.OpHello, &framing.Hello{Instance: 1, Features: []uint32{uint32(framing.FeatureMovingRelays)}}, 1, false))
	p.wantReply(1, framing.OpWelcome, 0)
	p.write(seal(w.t, s, framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", Movable: true}, 2, false))
	p.wantReply(2, framing.OpProxyResponse, 0)
	return p, s
}

// relay is the next one that the server opens.
func (p *peer) relay() (*quic.Stream, uint64) {
	p.t.Helper()
	stream, err := p.conn.AcceptStream(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	header, err := framing.ReadStreamHeader(stream)
	if err != nil || header.Relay == 0 {
		p.t.Fatalf("%v %v", header, err)
	}
	return stream, header.Relay
}

func (p *peer) segment(relay, offset uint64, data string, end bool) *quic.SendStream {
	p.t.Helper()
	stream, err := p.conn.OpenUniStream()
	if err != nil {
		p.t.Fatal(err)
	}
	frame, err := framing.AppendSegmentHeader(nil, &framing.SegmentHeader{Relay: relay, Offset: offset, Length: uint32(len(data)), End: end})
	if err != nil {
		p.t.Fatal(err)
	}
	stream.Write(append(frame, data...))
	return stream
}

// wantProgress reads until a Progress is about the relay.
func (p *peer) wantProgress(relay uint64) *framing.RelayProgress {
	p.t.Helper()
	for {
		p.stream.SetReadDeadline(time.Now().Add(time.Minute))
		envelope, err := p.opener.Open(p.reader)
		if err != nil {
			p.t.Fatalf("no Progress about %d: %v", relay, err)
		}
		var progress framing.Progress
		if envelope.Opcode != framing.OpProgress || envelope.Decode(&progress) != nil {
			continue
		}
		for _, r := range progress.Relays {
			if r.Relay == relay {
				return r
			}
		}
	}
}

// TestSegmentBeforeRelays is refused at once, and so is a later one of a relay that never was.
func TestSegmentBeforeRelays(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		p, _ := movingPeer(w)
		early := p.segment(4711, 0, "x", false)
		eventually(t, "refused", func() bool { return early.Context().Err() != nil })
		if code, remote := resetCode(context.Cause(early.Context())); !remote || code != framing.ErrorUnknownRelay {
			t.Errorf("refused with %v", code)
		}
		w.visit("20000")
		p.relay()
		late := p.segment(4711, 0, "x", false)
		if got := p.wantProgress(4711); got.ResetCode != uint32(framing.ErrorUnknownRelay) {
			t.Errorf("answered by %v", got)
		}
		eventually(t, "stopped", func() bool { return late.Context().Err() != nil })
	})
}

// TestSegmentWithFIN cannot be stopped any more: Progress is the answer.
func TestSegmentWithFIN(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		p, _ := movingPeer(w)
		w.visit("20000")
		_, relay := p.relay()
		p.segment(relay+1, 0, "x", false).Close()
		if got := p.wantProgress(relay + 1); got.ResetCode != uint32(framing.ErrorUnknownRelay) {
			t.Errorf("answered by %v", got)
		}
	})
}

// TestContradictingSegments: a node that contradicts itself harms the relay in question, and no other.
func TestContradictingSegments(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		p, _ := movingPeer(w)
		for name, send := range map[string]func(relay uint64){
			"two ends":         func(r uint64) { p.segment(r, 2, "cd", true).Close(); p.segment(r, 2, "cdef", true).Close() },
			"behind the end":   func(r uint64) { p.segment(r, 2, "", true).Close(); p.segment(r, 2, "ef", false).Close() },
			"other bytes":      func(r uint64) { p.segment(r, 1, "bc", false).Close(); p.segment(r, 0, "XY", false).Close() },
			"less than it has": func(r uint64) { p.segment(r, 4, "e", true).Close(); p.segment(r, 1, "", true).Close() },
		} {
			client := w.visit("20000")
			_, relay := p.relay()
			send(relay)
			p.segment(relay, 0, "ab", false).Close()
			time.Sleep(time.Second) // what the client gets of this relay does not matter
			client.Close()
			if p.conn.Context().Err() != nil || len(server.server.Status().Sessions) != 1 {
				t.Fatalf("%s: the connection ended", name)
			}
		}
		client := w.visit("20000")
		stream, _ := p.relay()
		stream.Write([]byte("as before"))
		stream.Close()
		if err := wantRead(client, "as before", nil); err != nil {
			t.Error(err)
		}
	})
}

// TestEndsThatRelaysSurvive: with whatever code a connection is closed, its relays go on, but for Shutdown, with which a
// process says that it stops.
func TestEndsThatRelaysSurvive(t *testing.T) {
	for code, survives := range map[framing.ErrorCode]bool{
		framing.NoError: true, framing.ErrorInternal: true, framing.ErrorMalformed: true, framing.ErrorUnexpectedMessage: true,
		framing.ErrorKeepaliveTimeout: true, framing.ErrorSuperseded: true, framing.ErrorReplaced: true, 4711: true,
		framing.ErrorShutdown: false,
	} {
		for _, by := range []string{"server", "node"} {
			t.Run(by+" "+code.String(), func(t *testing.T) {
				simulate(t, func(t *testing.T, w *world) {
					server := w.startServer()
					w.serveTCP(web, echo)
					node := w.startNode(expose("web", web)).leasesWait(t)
					client := w.visit("20000")
					exchange(t, client, "before")
					conn := node.node.current().quic
					if by == "server" {
						server.server.mu.Lock()
						conn = server.server.sessions[w.nodeKey.ID()].conns[0].quic
						server.server.mu.Unlock()
					}
					conn.CloseWithError(quic.ApplicationErrorCode(code), "for the test")
					if survives {
						exchange(t, client, "after")
					} else if err := wantRead(client, "", syscall.ECONNRESET); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// TestSegmentOutlivesRelay: what a segment claims counts for its relay, so no room is kept for it any longer than the relay
// is there.
func TestSegmentOutlivesRelay(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		server := w.startServer()
		p, _ := movingPeer(w)
		c := w.visit("20000")
		stream, relay := p.relay()
		segment, err := p.conn.OpenUniStream()
		if err != nil {
			t.Fatal(err)
		}
		header, err := framing.AppendSegmentHeader(nil, &framing.SegmentHeader{Relay: relay, Length: segments.Size})
		if err != nil {
			t.Fatal(err)
		}
		segment.Write(append(header, 'x'))
		eventually(t, "counted", func() bool { return server.server.memory.Used() >= segments.Size })
		stream.CancelRead(quic.StreamErrorCode(framing.ErrorRelayReset))
		stream.CancelWrite(quic.StreamErrorCode(framing.ErrorRelayReset))
		c.Close()
		eventually(t, "ended", func() bool { return server.server.memory.Used() == 0 })
		eventually(t, "refused", func() bool { return segment.Context().Err() != nil })
		eventually(t, "not waited for", func() bool { return goroutines("serveSegment") == 0 })
	})
}
