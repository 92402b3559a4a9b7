//go:build linux

package hostile

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"apquic/framing"
)

// attacked starts a server with a good node and its neighbour, and a second invitation for the attacker.
func attacked(t *testing.T, arguments ...string) (server *program, attack func() *peer, n *neighbour) {
	t.Helper()
	server, invitation := startServer(t, arguments...)
	_, public := startNode(t, invitation, echoService(t))
	n = newNeighbour(t, public)
	second := invite(t, server, 1000)
	key := newKey(t)
	return server, func() *peer { return join(t, second, key, &framing.Hello{Instance: rand.Uint64()}) }, n
}

// A node that asks for leases as fast as it can makes the server write no more often than a few nodes do.
func TestNodeFloodsRequests(t *testing.T) {
	server, attack, neighbour := attacked(t)
	p := attack()
	before := server.cost()
	go drain(p)
	for begin := time.Now(); time.Since(begin) < 4*time.Second; {
		p.nonce++
		request := &framing.ProxyRequest{Service: fmt.Sprintf("s%d", p.nonce%8), OriginAddress: fmt.Sprintf("tcp://h:%d", 1+p.nonce%60000)}
		if p.trySend(framing.OpProxyRequest, request, p.nonce) != nil {
			break // the server may close the connection of who does that
		}
	}
	took := server.cost().minus(before)
	t.Logf("%d requests: %v", p.nonce, took)
	// 32 at once, one a second after that: each writes a few pages of the lease file, of 4 KiB, and syncs.
	if took.log > 16<<10 || took.written > 4<<20 || took.memory > 32<<20 {
		t.Errorf("%d requests cost %v", p.nonce, took)
	}
	neighbour.wasServed(20*time.Millisecond, 2*time.Second)
}

// Invalid names and unknown messages are logged once.
func TestNodeSendsBadNames(t *testing.T) {
	server, attack, neighbour := attacked(t)
	p := attack()
	before := server.cost()
	go drain(p)
	for begin := time.Now(); p.nonce < 3000 && time.Since(begin) < 10*time.Second; { // so here
		p.nonce++
		if p.trySend(framing.OpProxyRequest, &framing.ProxyRequest{Service: fmt.Sprintf("Bad Name %d\n", p.nonce)}, p.nonce) != nil {
			break
		}
	}
	neighbour.wasServed(20*time.Millisecond, 2*time.Second)
	if took := server.cost().minus(before); took.log > 16<<10 || took.memory > 32<<20 {
		t.Errorf("%d bad names cost %v", p.nonce, took)
	}
}

// 5000 Keepalives at once from one node do not occupy the server.
func TestNodeFloodsKeepalives(t *testing.T) {
	server, attack, neighbour := attacked(t)
	p := attack()
	before := server.cost()
	go drain(p)
	for begin := time.Now(); p.nonce < 5000 && time.Since(begin) < 4*time.Second; { // the server reads it more and more slowly
		p.nonce++
		if p.trySend(framing.OpKeepalive, &framing.Keepalive{}, p.nonce) != nil {
			break
		}
	}
	neighbour.wasServed(20*time.Millisecond, 2*time.Second)
	if took := server.cost().minus(before); took.cpu > 4*time.Second || took.log > 16<<10 || took.memory > 32<<20 {
		t.Errorf("%d keepalives cost %v", p.nonce, took)
	}
}

// A node that opens lanes under ever new instances gets no more than any other.
func TestNodeOpensLanes(t *testing.T) {
	server, invitation := startServer(t)
	_, public := startNode(t, invitation, echoService(t))
	neighbour := newNeighbour(t, public)
	second, key := invite(t, server, 1000), newKey(t)
	before := server.cost()
	open := 0
	var conns []*quic.Conn
	for range 6 {
		instance := rand.Uint64() | 1
		primary := join(t, second, key, &framing.Hello{Instance: instance})
		conns = append(conns, primary.conn)
		go drain(primary)
		for range 15 {
			lane := dialPeer(t, second, key)
			lane.request(framing.OpHello, &framing.Hello{Instance: instance, Lane: true})
			conns = append(conns, lane.conn)
			go drain(lane)
		}
	}
	await(t, "the server closes what is too much", func() bool {
		open = 0
		for _, c := range conns {
			if c.Context().Err() == nil {
				open++
			}
		}
		return open <= 8+15
	})
	took := server.cost().minus(before)
	t.Logf("%d connections, %d of them open: %v", len(conns), open, took)
	if took.memory > 64<<20 || took.log > 32<<10 {
		t.Errorf("the lanes cost %v", took)
	}
	neighbour.wasServed(20*time.Millisecond, 2*time.Second)
}

// A node that never reads its control stream, but makes the server answer, costs a bounded queue.
func TestNodeNeverReads(t *testing.T) {
	server, attack, neighbour := attacked(t)
	p := attack()
	before := server.cost()
	watched := server.watch(before)
	for range 20000 {
		p.nonce++
		p.control.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		frame, err := p.sealer.Seal(framing.OpKeepalive, &framing.Keepalive{Observe: true}, p.nonce, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.control.Write(frame); err != nil {
			break
		}
	}
	neighbour.wasServed(20*time.Millisecond, 2*time.Second)
	if most := watched(); most > 32<<20 {
		t.Errorf("a node that never reads cost %d MB", most>>20)
	}
}

// A node that does anything: messages of all kinds in any order, sensible or not.
func TestMonkeyNode(t *testing.T) {
	server, attack, neighbour := attacked(t)
	before := server.cost()
	for seed := range uint64(8) {
		p, random := attack(), rand.New(rand.NewPCG(seed, 1))
		go drain(p)
		for range 300 {
			op, message := anyMessage(random)
			nonce := random.Uint64N(4) * random.Uint64N(1<<40)
			if seed%2 == 0 { // what is out of place ends the connection, so these keep to the order of a conversation
				p.nonce++
				if nonce = p.nonce; op == framing.OpProgress {
					nonce = 0
				} else if op == framing.OpHello || op == framing.OpDrain {
					continue
				}
			}
			if p.trySend(op, message, nonce) != nil {
				break
			}
			if seed%2 == 1 && random.IntN(8) == 0 {
				p.control.Write(make([]byte, random.IntN(3000)))
			}
			if stream, err := p.conn.OpenUniStream(); err == nil {
				stream.Write(make([]byte, random.IntN(200)))
				if random.IntN(2) == 0 {
					stream.Close()
				}
			}
		}
		p.conn.CloseWithError(0, "")
	}
	neighbour.wasServed(20*time.Millisecond, 3*time.Second)
	if took := server.cost().minus(before); took.memory > 64<<20 || took.log > 32<<10 {
		t.Errorf("the monkey cost %v", took)
	}
}

func anyMessage(r *rand.Rand) (framing.Opcode, proto.Message) {
	relay := &framing.RelayProgress{Relay: r.Uint64N(8), Received: r.Uint64(), Stopped: r.IntN(2) == 0, ResetCode: r.Uint32N(100) * r.Uint32N(2), Final: r.Uint64(), Lost: r.Uint64N(4), Arrived: r.Uint64()}
	switch r.IntN(9) {
	case 0:
		return framing.OpKeepalive, &framing.Keepalive{Observe: true}
	case 1:
		return framing.OpProxyRequest, &framing.ProxyRequest{Service: "web", WantedPort: r.Uint32(), Movable: true}
	case 2:
		return framing.OpRelease, &framing.Release{Service: "web", Hold: r.IntN(2) == 0}
	case 3:
		return framing.OpProgress, &framing.Progress{Relays: []*framing.RelayProgress{relay, relay}}
	case 4:
		return framing.OpProbeRequest, &framing.ProbeRequest{}
	case 5:
		return framing.OpProbeSend, &framing.ProbeSend{Number: r.Uint32()}
	case 6:
		return framing.OpDrain, &framing.Drain{LimitMilliseconds: r.Uint64()}
	case 7:
		return framing.OpHello, &framing.Hello{Instance: r.Uint64()}
	}
	return framing.Opcode(r.Uint32()), &framing.Lanes{}
}

// drain reads the server's messages until the connection ends.
func drain(p *peer) {
	for {
		if _, err := p.opener.Open(p.reader); err != nil {
			return
		}
	}
}
