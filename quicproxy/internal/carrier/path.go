package carrier

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/live"
)

// Path is the connection as its packets see it.
func (c *Conn) Path() live.Path {
	stats := c.QUIC.ConnectionStats()
	return live.Path{
		RTT: stats.SmoothedRTT, MinRTT: stats.MinRTT, Sent: stats.PacketsSent, Lost: stats.PacketsLost,
		BytesSent: stats.BytesSent, BytesReceived: stats.BytesReceived, Datagrams: c.Flows != nil,
	}
}

// Bytes are those of all connections of a node that run now, in QUIC packets.
func (b *Budget) Bytes() (sent, received uint64) {
	b.mu.Lock()
	conns := slices.Collect(maps.Keys(b.carriers))
	b.mu.Unlock()
	for _, c := range conns {
		stats := c.QUIC.ConnectionStats()
		sent, received = sent+stats.BytesSent, received+stats.BytesReceived
	}
	return sent, received
}

// Relays returns the relays of a node that are selected by their service, in the order in which they began, and how many
// there are.
func (b *Budget) Relays(which live.Selection) (some []live.Relay, total int) {
	b.mu.Lock()
	var all []*relay.Relay
	names := make(map[*relay.Relay]Name)
	for r, watched := range b.relays {
		if which.Has(which.Node, watched.Service) {
			all, names[r] = append(all, r), watched.Name
		}
	}
	b.mu.Unlock()
	slices.SortFunc(all, func(a, b *relay.Relay) int {
		return cmp.Or(a.Begun().Compare(b.Begun()), cmp.Compare(names[a].Client, names[b].Client))
	})
	from, to := which.Bounds(len(all))
	for _, r := range all[from:to] {
		told := live.Relay{Service: names[r].Service, Client: names[r].Client, Since: r.Begun(), In: r.ToTCP(), Out: r.ToStream(), Resumed: r.Stream().Resumed(), State: "running"}
		if stream, _ := r.Stream().Current(); stream == nil {
			told.State = "resuming"
		}
		some = append(some, told)
	}
	return some, len(all)
}

// Answers waits until something arrives from the other side; false: nothing came within that time, or the connection
// ended.
func (c *Conn) Answers(within time.Duration) bool {
	before := c.Received()
	for begin := time.Now(); time.Since(begin) < within; wait.Sleep(c.QUIC.Context(), path.SilenceLook) {
		if c.Received() != before {
			return true
		}
		if c.QUIC.Context().Err() != nil {
			return false
		}
	}
	return false
}
