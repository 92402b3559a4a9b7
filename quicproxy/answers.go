package quicproxy

import (
	"context"
	"time"

	"apquic/quicproxy/internal/relay"
)

// watchAnswers has the relays of a node leave connections to the server that do not answer, as the server does for what it
// sends (watchSilence): who uploads over a lane whose way is gone is the only one to know. It ends with ctx, and when there is
// one connection.
func (n *Node) watchAnswers(ctx context.Context) {
	meters := make(map[*relay.Carrier]*silenceMeter)
	for sleep(ctx, silenceLook); ctx.Err() == nil; sleep(ctx, silenceLook) {
		n.mu.Lock()
		association := n.association
		n.mu.Unlock()
		live := association.Live()
		if len(live) < 2 {
			return
		}
		for _, c := range live {
			meter := meters[c]
			if meter == nil {
				if c.Relays.Len() == 0 {
					continue
				}
				meter = new(silenceMeter)
				meters[c] = meter
			}
			stats := c.Conn.(*carrier).quic.ConnectionStats()
			suspect := isSuspect(meter.look(stats, time.Now()), stats)
			association.Suspect(c, suspect)
			switch {
			case suspect:
				c.Left()
			case c.Relays.Len() == 0:
				delete(meters, c)
			}
		}
	}
}
