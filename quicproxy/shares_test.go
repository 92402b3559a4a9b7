package quicproxy_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"apquic/certs"
	"apquic/framing"
)

// asker is a node that requests leases one by one, as a test wants.
type asker struct {
	*peer
	sealer *framing.Sealer
	nonce  uint64
}

func newAsker(w *world, hello *framing.Hello) *asker {
	w.t.Helper()
	p := dialServer(w)
	a := &asker{peer: p, sealer: p.sealer(w.nodeKey, framing.RoleNode, 0)}
	if len(hello.JoinSecret) > 0 {
		a.ask(framing.OpHello, &framing.Hello{Instance: hello.Instance}, framing.OpFailure, framing.ErrorNotAuthorized)
	}
	a.ask(framing.OpHello, hello, framing.OpWelcome, 0)
	return a
}

func (a *asker) ask(op framing.Opcode, message proto.Message, want framing.Opcode, code framing.ErrorCode) {
	a.t.Helper()
	a.nonce++
	a.write(seal(a.t, a.sealer, op, message, a.nonce, false))
	a.wantReply(a.nonce, want, code)
}

// request returns the server's answer.
func (a *asker) request(op framing.Opcode, message proto.Message) framing.Opcode {
	a.t.Helper()
	a.nonce++
	a.write(seal(a.t, a.sealer, op, message, a.nonce, false))
	a.stream.SetReadDeadline(time.Now().Add(time.Minute))
	envelope, err := a.opener.Open(a.reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return envelope.Opcode
}

// TestGuestShareHolds: no request of a guest removes one of its leases from the count of its address.
func TestGuestShareHolds(t *testing.T) {
	for name, hide := range map[string]func(a *asker){
		"a refused request": func(a *asker) {
			a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "a", WantedPort: 1}, framing.OpFailure, framing.ErrorPortOutOfRange)
		},
		"another port": func(a *asker) {
			a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "a", WantedPort: 21000}, framing.OpProxyResponse, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				g := newGatekeeper(t)
				server := w.startServer(g.admit(true), func(c *ServerConfig) { c.MaxLeasesPerAddress = 1 })
				a := newAsker(w, &framing.Hello{Instance: 1})
				a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "a"}, framing.OpProxyResponse, 0)
				hide(a)
				a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "b"}, framing.OpFailure, framing.ErrorTooManyServices)
				if n := len(server.server.Status().Leases); n != 1 {
					t.Errorf("%d leases, want 1", n)
				}
				a.ask(framing.OpRelease, &framing.Release{Service: "a"}, framing.OpReleased, 0)
				a.ask(framing.OpProxyRequest, &framing.ProxyRequest{Service: "b"}, framing.OpProxyResponse, 0)
			})
		})
	}
}

// TestNewcomerCannotRenameForMore: leases that could be renamed count, except for the one being renamed.
func TestNewcomerCannotRenameForMore(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		g := newGatekeeper(t)
		server := w.startServer(g.admit(false))
		a := newAsker(w, &framing.Hello{Instance: 1, JoinSecret: g.invite(certs.OpenInvitation{Name: "pi", Uses: 1})})
		request := func(i int, port uint32) *framing.ProxyRequest {
			name := fmt.Sprint("s", i)
			return &framing.ProxyRequest{Service: name, OriginAddress: web, Services: []string{name}, WantedPort: port}
		}
		for i := range newcomerServices {
			a.ask(framing.OpProxyRequest, request(i, 0), framing.OpProxyResponse, 0)
		}
		for i := range newcomerServices {
			a.ask(framing.OpRelease, &framing.Release{Service: fmt.Sprint("s", i), Hold: true}, framing.OpReleased, 0)
		}
		a.ask(framing.OpProxyRequest, request(100, 21000), framing.OpFailure, framing.ErrorTooManyServices)
		a.ask(framing.OpProxyRequest, request(100, 0), framing.OpProxyResponse, 0) // a new name for one of them
		if n := len(server.server.Status().Leases); n != newcomerServices {
			t.Errorf("%d leases, want %d", n, newcomerServices)
		}
	})
}
