package node

import (
	"context"
	"net"
	"net/netip"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
)

const (
	// Not every kick is a new message, since messages pile up in the control stream, ahead of everything
	// else; after a second a copy of the last datagram does as well. Messages become rarer over time: 37 in
	// an hour. All of them are sent again when the path is back, at a rate that is then low: each outage
	// shrinks the congestion window of a connection that carries little, and the round-trip time is wrong.
	freshShare  = 4 // of the time since the first
	maxFreshGap = 5 * time.Minute
	// movedTimeout is how long an answer may take, or two round trips, after the network of this machine has
	// changed. Otherwise the node asks again after that time: if a NAT moved the connection after the
	// question, the answer was lost.
	movedTimeout = 300 * time.Millisecond
	// answersAfterRestore is how many messages are exchanged once a silent path answers. QUIC's loss timers
	// may be wrong then, since the ack of a copy looks like that of the original, sent long before. But
	// packets three before an acked one are lost whatever the timers say (RFC 9002 section 6.1.1).
	answersAfterRestore = 4
)

// relayBegan makes the node watch the connection more closely.
func (l *link) relayBegan() {
	wait.Signal(l.path.Busy)
	wait.Signal(l.node.lanes.busy)
}

// watchPath keeps the NAT's mapping and the connection alive, and asks the server for an answer when a
// keepalive is due, when traffic stopped, and when the network of this machine changed.
func (l *link) watchPath(ctx context.Context) {
	keepalive := time.NewTimer(l.keepalives.Interval())
	defer keepalive.Stop()
	changed := l.node.network.Changed()
	source := l.source()
	traffic, late := path.QuietMeter{Received: l.packetsReceived()}, false // late: the last answer
	trouble := l.socket.Trouble()
	var look <-chan time.Time // while there are relays, or late
	for {
		busy, stopped := l.path.Busy, false
		if look == nil && (l.Relays.Len() > 0 || late) {
			look = time.After(traffic.Pause())
		}
		if look != nil {
			busy = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-busy:
			continue
		case <-look:
			look = nil
			if stopped = traffic.Look(l.packetsReceived(), time.Now()); !stopped {
				continue
			}
		case <-keepalive.C:
		case <-l.path.Woken:
		case <-changed.Done():
			changed = l.node.network.Changed()
		}
		// The socket is bound to no address: the system sends from the new one. A message must follow soon,
		// so that the server learns of the new address.
		limit := max(time.Second, 3*l.QUIC.ConnectionStats().SmoothedRTT)
		if now, errors := l.source(), l.socket.Trouble(); now != source || errors != trouble {
			source, trouble = now, errors
			limit = l.soon()
		}
		if stopped {
			l.association.AskOthers(&l.Carrier)
		}
		late = !l.ping(ctx, limit)
		goesOn := late || !stopped && traffic.GoesOn() // a late answer counts as traffic that stops
		traffic.Asked(l.packetsReceived(), goesOn, time.Now())
		keepalive.Reset(l.keepalives.Interval())
	}
}

func (l *link) packetsReceived() uint64 { return l.QUIC.ConnectionStats().PacketsReceived }

// source is the address from which this machine now sends packets to the server.
func (l *link) source() netip.Addr {
	if to, ok := l.QUIC.RemoteAddr().(*net.UDPAddr); ok {
		return l.node.config.Source(to.AddrPort())
	}
	return netip.Addr{}
}

// soon is how long an answer should take.
func (l *link) soon() time.Duration {
	return max(movedTimeout, 2*l.QUIC.ConnectionStats().SmoothedRTT)
}

// ping sends Keepalives until one is answered. Each is a new message: it goes out at once whatever the
// retransmission timers say, repairs a rebound NAT mapping, and is long enough for a restarted server to
// answer with a stateless reset. The first answer may take until limit. It returns false if no answer came
// but something else did: the answer is late, or the server receives nothing and retransmits what has not
// been acked.
func (l *link) ping(ctx context.Context, limit time.Duration) (answered bool) {
	begin, last := time.Now(), 1 // how many answers are wanted
	something := ctx             // ends when something arrives after a silence; ctx while not waiting for that
	renewed := false
	for first := true; ctx.Err() == nil; first = false {
		before, answer := l.QUIC.ConnectionStats(), new(framing.KeepaliveResponse)
		wait := limit
		if first {
			wait = min(limit, l.soon())
		}
		err := l.ask(ctx, something, wait, answer)
		if rest := limit - wait; err != nil && rest > 0 {
			before = l.QUIC.ConnectionStats()
			err = l.ask(ctx, something, rest, answer)
		}
		// An answer behind a full queue is late, but what arrives before it proves the path. After an outage
		// it does not prove that the connection can send again.
		now := l.QUIC.ConnectionStats()
		seen := now.PacketsReceived > before.PacketsReceived
		if err != nil && seen {
			l.keepalives.Late(time.Now())
		} else if err == nil {
			l.observe(answer, now.BytesReceived-before.BytesReceived)
		}
		if seen || err == nil {
			l.path.Answered()
		}
		if seen && !first && !renewed {
			renewed = true
			l.association.Renew(&l.Carrier)
		}
		if err == nil {
			if last--; last == 0 {
				return true
			}
			something = ctx
			continue
		}
		if seen && first {
			return false
		}
		if first {
			l.keepalives.Unanswered(time.Now())
			l.association.AskOthers(&l.Carrier)
			var stop func()
			something, stop = l.restore(ctx)
			defer stop()
			last = answersAfterRestore
		} else if something.Err() != nil {
			something, begin = ctx, time.Now() // the path is back: messages may come close together again
		}
		limit = min(max(time.Since(begin)/freshShare, kickEvery), maxFreshGap)
	}
	return false
}

// ask sends a Keepalive and waits for the answer, until ctx or something ends, or limit is over.
func (l *link) ask(ctx, something context.Context, limit time.Duration, answer *framing.KeepaliveResponse) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(something, cancel)()
	return l.Control.Request(ctx, framing.OpKeepalive, &framing.Keepalive{Observe: l.keepalives.Learns()}, framing.OpKeepaliveResponse, answer)
}
