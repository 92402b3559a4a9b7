//go:build linux

package hostile

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"apquic/framing"
)

// TestServerNamesUpstreams: a server that the node trusts says in every place that it has where it would like the
// node to connect, behind a service of each kind. The node dials what its file says, and nothing else.
func TestServerNamesUpstreams(t *testing.T) {
	var wrong atomic.Int32
	forbidden := service(t, func(c net.Conn) { wrong.Add(1) })
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			wrong.Add(1)
			c.Close()
		}
	}()
	top := t.TempDir()
	for name, text := range map[string]string{"secret": "top secret content", "www/index.html": "home"} {
		path := filepath.Join(top, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(top, "node.json")
	config := fmt.Sprintf(`{"services": {
		"web": %[1]q, "told": {"upstream": %[1]q, "proxyProtocol": 1},
		"unix": "unix:/nowhere/socket", "http": "http://127.0.0.1:1", "https": "https://127.0.0.1:1",
		"site": {"upstream": "file:%[2]s/www", "listing": true},
		"lan": {"upstream": "socks5:", "networks": ["10.255.255.0/30"]},
	}}`, echoService(t), top)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := listen(t)
	start(t, "apquic-node", "-c", file, "--server", s.invitation.String())
	p := s.welcome(&framing.Welcome{Instance: 1, Limits: &framing.Limits{}, ObservedAddress: forbidden})
	go answerWith(p, forbidden)

	answered := 0
	addresses := []string{"127.0.0.1:22", "", forbidden, "tcp://" + forbidden, "http://" + forbidden, "https://" + forbidden, "unix:" + socket, "file:/", "file:" + top, "socks5:"}
	for _, service := range append([]string{"web", "told", "unix", "http", "https", "site", "lan"}, append(addresses, "", "WEB", "web/", "../web", "site/..")...) {
		for _, address := range addresses {
			_, port, _ := net.SplitHostPort(forbidden)
			for _, first := range []string{
				"",
				"CONNECT " + forbidden + " HTTP/1.1\r\nHost: " + forbidden + "\r\n\r\n",
				"GET http://" + forbidden + "/ HTTP/1.1\r\nHost: " + forbidden + "\r\n\r\n",
				"GET /../secret HTTP/1.1\r\nHost: h\r\n\r\n",
				"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01" + socksPort(port),
				"\x05\x01\x00\x05\x01\x00\x03\x09localhost" + socksPort(port),
				"PROXY TCP4 127.0.0.1 127.0.0.1 1 " + port + "\r\n",
			} {
				answer := p.ask(&framing.StreamHeader{Service: service, ClientAddress: address, PublicAddress: address}, first)
				if answer != "" {
					answered++
				}
				if strings.Contains(answer, "top secret content") {
					t.Errorf("service %q, address %q, %q: %q", service, address, first, answer)
				}
			}
		}
	}
	if answered < 50 {
		t.Errorf("only %d of the server's streams got an answer", answered)
	}
	if n := wrong.Load(); n != 0 {
		t.Errorf("the node connected %d times to where the server wanted", n)
	}
	if got := p.ask(&framing.StreamHeader{Service: "web", ClientAddress: "192.0.2.1:1"}, "still here"); got != "still here" {
		t.Errorf("its own service answers %q", got)
	}
	if got := p.ask(&framing.StreamHeader{Service: "site"}, "GET / HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "home") {
		t.Errorf("its own folder answers %q", got)
	}
}

func socksPort(port string) string {
	var n uint16
	fmt.Sscan(port, &n)
	return string([]byte{byte(n >> 8), byte(n)})
}

// ask opens a relay, sends all that it has to say, and returns what came.
func (p *peer) ask(header *framing.StreamHeader, first string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	stream, err := p.conn.OpenStreamSync(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	raw, err := proto.Marshal(header) // even if nobody may say that
	if err != nil {
		p.t.Fatal(err)
	}
	frame := append(protowire.AppendVarint(nil, uint64(len(raw))), raw...)
	stream.SetDeadline(time.Now().Add(maxWait))
	if _, err := stream.Write(append(frame, first...)); err == nil {
		stream.Close()
	}
	answer, _ := io.ReadAll(stream)
	stream.CancelRead(quic.StreamErrorCode(0))
	return string(answer)
}

// answerWith answers every request of the node for a port with an address that is nobody's but the server's wish.
func answerWith(p *peer, address string) {
	for {
		envelope, err := p.opener.Open(p.reader)
		if err != nil {
			return
		}
		var request framing.ProxyRequest
		if envelope.Opcode == framing.OpProxyRequest && envelope.Decode(&request) == nil {
			p.reply(framing.OpProxyResponse, &framing.ProxyResponse{
				Service: request.Service, OriginAddress: "tcp://" + address, ProxyAddress: "tcp://" + address,
			}, envelope.RequestNonce)
		}
	}
}
