package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"apquic/certs"
	"apquic/internal/nodeapi"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

func TestWriteStatus(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	for _, test := range []struct {
		status node.Status
		want   string
	}{
		{node.Status{Address: "h:1"}, "connecting to h:1\n"},
		{node.Status{Address: "h:1", Trouble: errors.New("no answer")}, "not connected to h:1: no answer\n"},
		{node.Status{
			Node: certs.NodeID{1}, Name: "shed-pi", Address: "tunnel.example.com:8090", Since: now.Add(-50 * time.Hour),
			Path: live.Path{RTT: 18040 * time.Microsecond, Sent: 100_000, Lost: 234},
			Services: []node.ServiceStatus{
				{Service: "web", Origin: "tcp://127.0.0.1:80", PublicAddress: "tcp://tunnel.example.com:20000", Relays: 12},
				{Service: "printer", Origin: "unix:/p", Refusal: errors.New("in use"), Upstream: nil},
			},
			DatagramsDropped: map[string]uint64{"away": 3, "noFlow": 3, "overflow": 1200},
		}, `connected to tunnel.example.com:8090 as shed-pi for 2 d 2 h, 18 ms, 0.23 % lost
web      tunnel.example.com:20000 -> 127.0.0.1:80  12 open  upstream answers
printer  no public address (in use) -> unix:/p     0 open   upstream answers
datagrams dropped since the start: 1200 overflow, 3 away, 3 noFlow
`},
	} {
		var got strings.Builder
		writeStatus(&got, nodeapi.StatusOf(test.status, "v"), now)
		if got.String() != test.want {
			t.Errorf("got\n%swant\n%s", &got, test.want)
		}
	}
}

// TestLongStatus: what is too long for a line is on several, relays have a table, and nothing of what others say can
// make a terminal do something.
func TestLongStatus(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	s := nodeapi.StatusOf(node.Status{Address: "h:1", Trouble: errors.New("\x1b[2Jno"), Services: []node.ServiceStatus{
		{Service: "web", Origin: "tcp://127.0.0.1:80", PublicAddress: "tcp://tunnel.example.com:20000", Relays: 12},
		{Service: "game", Origin: "udp://127.0.0.1:90", PublicAddress: "udp://tunnel.example.com:20001"},
		{Service: "printer", Origin: "tcp://printer.example.com:631", Refusal: errors.New("all are \x1b]0;x\x07 in use"), Upstream: errors.New("connect: connection refused")},
	}}, "v")
	s.Relays, s.RelaysTotal = []live.Relay{{Service: "web", Client: "198.51.100.7:4711", Since: now.Add(-time.Minute), In: 5, Out: 1000, State: "running", Resumed: 1}}, 3
	var got strings.Builder
	writeStatus(&got, s, now)
	const want = `not connected to h:1:  [2Jno
web  tunnel.example.com:20000 -> 127.0.0.1:80
    12 open  upstream answers
game  udp://tunnel.example.com:20001 -> udp://127.0.0.1:90
    0 open  upstream over UDP, which is not asked
printer  no public address (all are  ]0;x  in use) -> printer.example.com:631
    0 open  upstream does not answer: connect: connection refused

SERVICE  CLIENT             FOR    IN   OUT     STATE
web      198.51.100.7:4711  1 min  5 B  1.0 kB  resumed 1
and 2 more
`
	if got.String() != want {
		t.Errorf("got\n%swant\n%s", &got, want)
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 1500 * time.Millisecond: "1 s", 61 * time.Second: "1 min 1 s", 2*time.Hour + 3*time.Minute: "2 h 3 min", 49 * time.Hour: "2 d 1 h",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
