package watch

import (
	"context"
	"time"

	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
)

// Answers makes relays of a node leave connections whose server does not answer, as the server does
// for what it sends (watchSilence): only an uploader knows that the path of its lane is gone. It ends with
// ctx, and when only one connection is left.
func Answers(ctx context.Context, present func() *association.Association) {
	meters := make(map[*association.Carrier]*path.SilenceMeter)
	for wait.Sleep(ctx, path.SilenceLook); ctx.Err() == nil; wait.Sleep(ctx, path.SilenceLook) {
		shared := present()
		live := shared.Live()
		if len(live) < 2 {
			return
		}
		for _, c := range live {
			meter := meters[c]
			if meter == nil {
				if c.Relays.Len() == 0 {
					continue
				}
				meter = new(path.SilenceMeter)
				meters[c] = meter
			}
			stats := c.Conn.(*carrier.Conn).QUIC.ConnectionStats()
			suspect := meter.IsSuspect(meter.Look(stats, time.Now()), stats, time.Time{})
			shared.Suspect(c, suspect)
			switch {
			case suspect:
				c.Left()
			case c.Relays.Len() == 0:
				delete(meters, c)
			}
		}
	}
}
