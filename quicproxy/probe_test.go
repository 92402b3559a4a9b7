package quicproxy_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"apquic/framing"
	"apquic/quicproxy/internal/path"
)

// meddler is the server's socket: with each probe datagram it also sends what proves nothing, and the
// datagram itself once more, later.
type meddler struct{ net.PacketConn }

func (m meddler) WriteTo(b []byte, to net.Addr) (int, error) {
	if p, ok := path.ParseProbe(b); ok {
		late := slices.Clone(b)
		time.AfterFunc(10*time.Second, func() { m.PacketConn.WriteTo(late, to) })
		m.PacketConn.WriteTo(probeDatagram(p.Token, p.Number+1), to)
		m.PacketConn.WriteTo(probeDatagram(path.ProbeToken{1}, p.Number), to)
		m.PacketConn.WriteTo(b[:len(b)-1], to)
		m.PacketConn.WriteTo(append(slices.Clone(b), 0), to)
		m.PacketConn.WriteTo([]byte(strings.Repeat("x", 1400)), to)
		m.PacketConn.WriteTo([]byte(path.WakeDatagram), to)
	}
	return m.PacketConn.WriteTo(b, to)
}

// TestAutoKeepaliveGarbage: whatever else comes to the socket of a probe proves nothing.
func TestAutoKeepaliveGarbage(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.nat.SetTimeout(20*time.Second, false)
		w.startServer(patient, func(c *ServerConfig) { c.PacketConn = meddler{c.PacketConn} })
		store := new(bindingMemory)
		node := w.startNode(expose("web", web), auto, func(c *NodeConfig) { c.NATBindings = store })
		if got := node.learned(t); got != DefaultKeepalive {
			t.Errorf("it settles at %v", got)
		}
		if known, _ := store.Load(); len(known) != 1 || known[0].Failed != 30*time.Second {
			t.Errorf("it learned %+v", known)
		}
		time.Sleep(time.Minute) // for what is late
	})
}

// TestProbes: the server sends probe datagrams only to where a connection of the node is.
func TestProbes(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		p := dialServer(w)
		s := p.sealer(w.nodeKey, framing.RoleNode, 0)
		request := func(nonce uint64, op framing.Opcode, m proto.Message, want framing.Opcode, code framing.ErrorCode) framing.Envelope {
			p.write(seal(t, s, op, m, nonce, false))
			return p.wantReply(nonce, want, code)
		}
		request(1, framing.OpHello, &framing.Hello{Instance: 1}, framing.OpWelcome, 0)
		request(2, framing.OpProbeSend, &framing.ProbeSend{Number: 1}, framing.OpFailure, framing.ErrorBadRequest)
		var response framing.ProbeResponse
		begin := func(nonce uint64) path.ProbeToken {
			request(nonce, framing.OpProbeRequest, &framing.ProbeRequest{}, framing.OpProbeResponse, 0).Decode(&response)
			return path.ProbeToken(response.Token)
		}
		old, token := begin(3), begin(4)
		if old == token {
			t.Fatal("a token came twice")
		}
		request(5, framing.OpProbeSend, &framing.ProbeSend{Number: 1}, framing.OpFailure, framing.ErrorBadRequest)

		home, _ := w.home.ListenUDP(0)
		elsewhere, _ := w.visitor.ListenUDP(0)
		send := func(socket net.PacketConn, datagram []byte) bool {
			t.Helper()
			socket.WriteTo(datagram, &net.UDPAddr{IP: net.ParseIP(serverIP), Port: serverUDP})
			return hears(t, socket, datagram)
		}
		if send(elsewhere, probeDatagram(token, 1)) {
			t.Error("a datagram from another address is answered")
		}
		request(6, framing.OpProbeSend, &framing.ProbeSend{Number: 1}, framing.OpFailure, framing.ErrorBadRequest)
		probe := probeDatagram(token, 1)
		for name, datagram := range map[string][]byte{
			"old token": probeDatagram(old, 1), "no token": probeDatagram(path.ProbeToken{}, 1),
			"too short": probe[:len(probe)-1], "too long": append(probe, 0),
			"other text": []byte("\x3fapquic/2 probe" + string(token[:]) + "\x00\x00\x00\x01"),
		} {
			if send(home, datagram) {
				t.Errorf("%s: answered", name)
			}
		}
		if !send(home, probeDatagram(token, 7)) {
			t.Error("a probe datagram is not answered")
		}
		request(7, framing.OpProbeSend, &framing.ProbeSend{Number: 8}, framing.OpProbeSent, 0)
		if !hears(t, home, probeDatagram(token, 8)) {
			t.Error("what was asked for does not come")
		}
		second := begin(8)
		if send(home, probeDatagram(token, 9)) || !send(home, probeDatagram(second, 9)) {
			t.Error("a new token does not replace the old one")
		}
		p.conn.CloseWithError(0, "")
		time.Sleep(time.Second)
		if send(home, probeDatagram(second, 10)) {
			t.Error("the token outlives its connection")
		}
	})
}

func probeDatagram(token path.ProbeToken, number uint32) []byte {
	return path.Probe{Token: token, Number: number}.Datagram()
}

func hears(t *testing.T, socket net.PacketConn, want []byte) bool {
	t.Helper()
	buffer := make([]byte, 2000)
	socket.SetReadDeadline(time.Now().Add(time.Second))
	n, _, err := socket.ReadFrom(buffer)
	return err == nil && string(buffer[:n]) == string(want)
}
