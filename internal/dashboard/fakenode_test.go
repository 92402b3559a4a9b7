//go:build linux

package dashboard

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"apquic/internal/control"
	"apquic/internal/events"
	"apquic/internal/nodeapi"
	"apquic/internal/reload"
	"apquic/internal/visits"
	"apquic/quicproxy"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

// ownedNode is a node of which only the tunnel is made up: the door, the API, the stream of events, who left last and
// the page are real.
type ownedNode struct {
	site
	log *slog.Logger // what is written there are its events

	mu      sync.Mutex
	status  node.Status
	relays  []live.Relay
	leave   string // the answer to who wants to leave
	refused map[string]uint64
	asked   map[string]int
	dialled int // how often the services and the server were asked
	done    []string
}

// newOwnedNode starts one that ends with the test.
func newOwnedNode(t *testing.T) *ownedNode {
	t.Helper()
	var lines lockedLines
	var left visits.Last
	hub := events.New(left.Handler(slog.NewTextHandler(&lines, nil)))
	o := &ownedNode{log: slog.New(hub), asked: make(map[string]int)}
	o.status = node.Status{
		Node: idOf(1), Name: "shed-pi", Server: idOf(2), Address: "tunnel.example.com:8090", Remote: "203.0.113.5:8090", Since: time.Now().Add(-3*time.Hour - 5*time.Minute),
		Path: live.Path{RTT: 23400 * time.Microsecond, MinRTT: 19 * time.Millisecond, Sent: 1000, Lost: 4, Keepalive: 36 * time.Second},
		Services: []node.ServiceStatus{
			{Service: "web", Origin: "tcp://127.0.0.1:80", PublicAddress: "tcp://tunnel.example.com:20000", Name: "https://web-k3j9.tunnel.example.org", Relays: 2, Refused: quicproxy.Refused{Countries: 12}},
			{Service: "photos", Origin: "http://192.168.1.20:2342", PublicAddress: "https://photos.example.org", Relays: 1},
			{Service: "ssh", Origin: "tcp://127.0.0.1:22", PublicAddress: "private:shed-pi/ssh"},
			{Service: "game", Origin: "udp://192.168.1.5:27015", PublicAddress: "udp://tunnel.example.com:20015"},
			{Service: "printer", Origin: "tcp://192.168.1.30:631", PublicAddress: "tcp://tunnel.example.com:20001", Upstream: errors.New("connect: connection refused")},
		},
		DatagramsDropped: map[string]uint64{"overflow": 1200},
	}
	for i := range 3 {
		o.relays = append(o.relays, live.Relay{Service: []string{"web", "web", "photos"}[i], Client: "198.51.100." + strconv.Itoa(7+i) + ":4123", Since: time.Now().Add(-time.Duration(i*i*70+9) * time.Second), State: "running", In: 1200, Out: 3 << 20})
	}
	o.refused = map[string]uint64{"password": 3}
	reloads := reload.New(reload.Config{Log: o.log, Apply: func() (reload.Report, error) { return reload.Report{Changed: []string{"services.web"}}, nil }})
	api := nodeapi.Handler(nodeapi.Config{
		Node: o, Version: "apquic-node v1.0.0", Events: hub, Left: &left, Reload: reloads, Leave: http.HandlerFunc(o.leaves),
		Refused: func(service string) map[string]uint64 {
			return map[string]map[string]uint64{"photos": o.refused}[service]
		},
	})
	o.site = openDoor(t, "apquic-node", t.TempDir(), o.log, &lines, func(w http.ResponseWriter, r *http.Request) {
		o.change(func() { o.asked[r.URL.Path]++ })
		api.ServeHTTP(w, r)
	})
	return o
}

// change changes what the node has.
func (o *ownedNode) change(do func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	do()
}

// Status implements nodeapi.Node.
func (o *ownedNode) Status(ctx context.Context) node.Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	if ctx.Err() == nil {
		o.dialled++
	}
	return o.status
}

// Relays implements nodeapi.Node.
func (o *ownedNode) Relays(live.Selection) ([]live.Relay, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]live.Relay{}, o.relays...), len(o.relays)
}

func (o *ownedNode) leaves(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done = append(o.done, "leave "+r.URL.RawQuery)
	if o.leave != "" {
		control.Answer(w, map[string]any{"server": "tunnel.example.com:8090", "released": false, "named": false, "error": o.leave})
		return
	}
	control.Answer(w, map[string]any{"server": "tunnel.example.com:8090", "released": true, "named": true})
}

// times is how often a path was asked for, and did how often the services were, and what the owner did last.
func (o *ownedNode) times(path string) (asked, dialled int, did string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.done) > 0 {
		did = o.done[len(o.done)-1]
	}
	return o.asked[path], o.dialled, did
}

// flowing lets bytes go through the node until the end of the test.
func (o *ownedNode) flowing(t *testing.T) {
	often(t, func(i int) {
		o.change(func() {
			n := uint64(90000 + 60000*(i/7%4) + i%5*9000)
			o.status.Sent, o.status.Received = o.status.Sent+n, o.status.Received+n/5
			o.status.Path.RTT = time.Duration(19000+i*7919%9000) * time.Microsecond
			for i := range o.relays {
				o.relays[i].Out += n / uint64(i+2)
			}
		})
	})
}
