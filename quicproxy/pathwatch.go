package quicproxy

import (
	"context"
	"sync"
	"time"

	"apquic/framing"
)

// patience is how many unanswered keepalives in a row make a connection doubtful.
const patience = 3

// pathWatch says whether the server still answers on a connection.
type pathWatch struct {
	doubts chan struct{} // has room for one: the server stopped answering

	mu    sync.Mutex
	doubt context.Context // ends when the server answers again; nil while it does
	heal  context.CancelFunc
}

func newPathWatch() *pathWatch { return &pathWatch{doubts: make(chan struct{}, 1)} }

func (p *pathWatch) unanswered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doubt != nil {
		return
	}
	p.doubt, p.heal = context.WithCancel(context.Background())
	p.doubts <- struct{}{}
}

func (p *pathWatch) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doubt == nil {
		return
	}
	p.heal()
	p.doubt, p.heal = nil, nil
	select {
	case <-p.doubts: // nobody has noticed yet
	default:
	}
}

// whileInDoubt ends with ctx and as soon as the server answers.
func (p *pathWatch) whileInDoubt(ctx context.Context) (context.Context, context.CancelFunc) {
	attempt, cancel := context.WithCancel(ctx)
	p.mu.Lock()
	doubt := p.doubt
	p.mu.Unlock()
	if doubt == nil {
		cancel()
		return attempt, cancel
	}
	stop := context.AfterFunc(doubt, cancel)
	return attempt, func() { stop(); cancel() }
}

// keepAlive keeps the NAT's mapping and the connection alive and notices when the server does not answer.
func (l *link) keepAlive(ctx context.Context) {
	for {
		sleep(ctx, l.node.config.Keepalive)
		if ctx.Err() != nil {
			return
		}
		l.ping(ctx)
	}
}

// ping sends Keepalives until one is answered. Each is a fresh message: it goes out at once whatever the
// retransmission timers say, repairs a rebound NAT mapping, and is long enough for a restarted server to
// answer with a stateless reset.
func (l *link) ping(ctx context.Context) {
	for unanswered := 0; ctx.Err() == nil; unanswered++ {
		if unanswered == patience {
			l.path.unanswered()
		}
		stats := l.quic.ConnectionStats()
		limit, cancel := context.WithTimeout(ctx, max(time.Second, 3*stats.SmoothedRTT))
		err := l.control.request(limit, framing.OpKeepalive, &framing.Keepalive{}, framing.OpKeepaliveResponse, new(framing.KeepaliveResponse))
		cancel()
		// An answer that waits behind a full queue is late, but what arrives before it proves the path.
		if err == nil || l.quic.ConnectionStats().PacketsReceived > stats.PacketsReceived {
			l.path.answered()
			return
		}
	}
}
