package flow

import "time"

const (
	// turnBytes is how much is handed to QUIC before streams have their share: some packets fewer than the 32
	// datagrams that quic-go queues. Less than quietBytes is not worth waiting for.
	turnBytes, quietBytes = 16 << 10, 4 << 10
	// pollAtLeast and pollAtMost bound the pauses between two looks at what was sent, and stuck is for how
	// long nothing may be sent before a turn counts as over: quic-go drops a datagram that no longer fits.
	pollAtLeast, pollAtMost, stuck = 50 * time.Microsecond, 5 * time.Millisecond, 50 * time.Millisecond
	// streamsShare: streams have one in streamsShare parts of what is sent. When they had no use for it, as
	// many as skipped turns follow without.
	streamsShare, skipped = 4, 7
	// delayed is how long a turn takes only if QUIC holds it up.
	delayed = time.Millisecond
	// acksOnly is what acks may take of a share that nobody uses.
	acksOnly = 256
)

// pace leaves the streams of a connection their share. quic-go gives them the room that its queue of datagrams
// leaves, which is none as long as the queue has something.
type pace struct {
	conn   Conn
	begin  time.Time // when the first of bytes was handed over
	before uint64    // what the connection had sent then
	bytes  uint64    // handed over since
	skip   int       // so many turns leave no room
}

func newPace(conn Conn) *pace { return &pace{conn: conn} }

// sending notes bytes that are about to be handed over.
func (p *pace) sending(bytes int) {
	if p.bytes == 0 {
		p.begin, p.before = time.Now(), p.conn.Sent()
	}
	p.bytes += uint64(bytes)
}

// leaveRoom returns when QUIC may get more: at once if all was sent without delay; otherwise after the
// streams have had the time that their share needs, or the share itself.
func (p *pace) leaveRoom() {
	sent := p.conn.Sent() - p.before
	switch {
	case sent >= p.bytes && time.Since(p.begin) < delayed: // later it may be what was handed over before
	case p.bytes < quietBytes:
		return
	default:
		p.wait(p.before+p.bytes, time.Hour)
		if p.skip--; p.skip < 0 && !p.giveStreams(p.bytes/(streamsShare-1), time.Since(p.begin)/(streamsShare-1)) {
			p.skip = skipped
		}
	}
	p.bytes = 0
}

// giveStreams waits until so much was sent, or for so long, and reports whether streams made use of it.
func (p *pace) giveStreams(room uint64, most time.Duration) (used bool) {
	from := p.conn.Sent()
	p.wait(from+room, most)
	return p.conn.Sent()-from > max(room/2, acksOnly)
}

// wait returns when the connection has sent so much, after most, or when it sends nothing.
func (p *pace) wait(until uint64, most time.Duration) {
	begin, progress := time.Now(), time.Now()
	for last, pause := p.conn.Sent(), pollAtLeast; last < until; pause = min(2*pause, pollAtMost, max(time.Since(begin)/8, pollAtLeast)) {
		left := min(most-time.Since(begin), stuck-time.Since(progress))
		if left <= 0 || p.conn.Context().Err() != nil {
			return
		}
		time.Sleep(min(pause, left))
		if now := p.conn.Sent(); now != last {
			last, progress = now, time.Now()
		}
	}
}
