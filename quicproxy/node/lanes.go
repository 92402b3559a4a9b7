package node

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/node/internal/dial"
	"apquic/quicproxy/node/internal/watch"
)

const (
	// laneIdle is how long a lane stays without a relay: the next relay may come soon, and then finds it
	// open.
	laneIdle = time.Minute
	// laneDial bounds the dial of a lane, and laneRetry is the pause after a failed one.
	laneDial, laneRetry = 10 * time.Second, 30 * time.Second
	// laneEvery is how often a node may dial one more lane, after a burst of twice as many as it can have.
	laneEvery = 4 * time.Second
)

// lanes opens further connections of a session while loss limits the present ones, and closes idle lanes. A
// lane carries only relays; the server places each new relay on the lane with the fewest.
type lanes struct {
	node    *Node
	wanted  chan struct{} // has room for one: loss limits what the server sends
	busy    chan struct{} // has room for one: a relay began
	open    sync.WaitGroup
	watched atomic.Bool // watch.Answers runs
	dials   *rate.Limiter

	// Only run uses the following.
	lanes   []*lane
	refused time.Time // when a dial of a lane last failed
}

// lane is a lane, or the primary link.
type lane struct {
	*link
	meter path.LossMeter
	idle  time.Time // since when it has been idle; zero: it is not
	began uint64    // relays and records, at the last check
}

func newLanes(n *Node) *lanes {
	return &lanes{node: n, wanted: make(chan struct{}, 1), busy: make(chan struct{}, 1), dials: rate.NewLimiter(rate.Every(laneEvery), 2*carrier.MaxLanes)}
}

// run opens and closes lanes until ctx ends, and returns when the lanes have let their relays finish.
func (s *lanes) run(ctx context.Context) {
	defer s.open.Wait()
	var primary lane
	for {
		var again <-chan time.Time
		busy := s.busy
		if s.look(ctx, &primary) {
			again, busy = time.After(path.LossLook), nil
		}
		select {
		case <-again:
		case <-busy:
		case <-s.wanted:
			s.add(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look checks all connections, and reports whether to check again.
func (s *lanes) look(ctx context.Context, primary *lane) bool {
	if l := s.node.current(); l != primary.link {
		*primary = lane{link: l}
	}
	limited := primary.limited()
	s.lanes = slices.DeleteFunc(s.lanes, func(l *lane) bool { return l.QUIC.Context().Err() != nil })
	for _, l := range s.lanes {
		limited = l.limited() || limited
		l.closeIdle()
	}
	if limited {
		s.add(ctx)
	}
	if len(s.lanes) > 0 && !s.watched.Swap(true) {
		s.open.Go(func() {
			defer s.watched.Store(false)
			watch.Answers(ctx, s.node.shared)
		})
	}
	return len(s.lanes) > 0 || primary.link != nil && primary.Relays.Len() > 0
}

// limited reports whether loss limits the lane.
func (l *lane) limited() bool {
	if l.link == nil {
		return false
	}
	limited := l.meter.Look(time.Now(), l.QUIC.ConnectionStats())
	l.association.SetLossy(&l.Carrier, l.meter.Limited(time.Now()))
	return limited
}

// closeIdle retires the lane if it has been idle for long.
func (l *lane) closeIdle() {
	began := l.began
	l.began = l.Relays.Total() + l.Records.Load()
	switch {
	case l.Relays.Len() > 0 || l.began != began:
		l.idle = time.Time{}
	case l.idle.IsZero():
		l.idle = time.Now()
	case time.Since(l.idle) > laneIdle:
		wait.Signal(l.retired)
	}
}

// add doubles the lanes, up to what the server allows.
func (s *lanes) add(ctx context.Context) {
	primary := s.node.current()
	if primary == nil || time.Since(s.refused) < laneRetry {
		return
	}
	have := len(s.lanes)
	more := s.mayDial(min(max(have+1, 3), int(primary.maxLanes)-have)) // with the primary connection: 4, 8, 16
	if more <= 0 {
		return
	}
	var (
		dials  sync.WaitGroup
		mu     sync.Mutex
		opened []*lane
	)
	for range more {
		dials.Go(func() {
			if l := s.dial(ctx); l != nil {
				mu.Lock()
				defer mu.Unlock()
				opened = append(opened, l)
			}
		})
	}
	dials.Wait()
	s.lanes = append(s.lanes, opened...)
	if len(opened) < more {
		s.refused = time.Now()
	}
	if len(opened) > 0 {
		s.node.log.Info("loss limits the connection; relays get further lanes", "lanes", len(s.lanes))
	}
}

// mayDial returns how many of that many lanes may be dialled now. A server that asks for lanes and then
// closes them could otherwise keep a node on a battery dialling for ever.
func (s *lanes) mayDial(lanes int) int {
	lanes = min(lanes, int(s.dials.Tokens()))
	if lanes <= 0 || !s.dials.AllowN(time.Now(), lanes) {
		return 0
	}
	return lanes
}

func (s *lanes) dial(ctx context.Context) *lane {
	attempt, cancel := context.WithTimeout(ctx, laneDial)
	defer cancel()
	l, err := s.node.connect(ctx, attempt, dial.HandshakeTimeout, true)
	if err != nil {
		s.node.log.Debug("no further lane", "err", err)
		return nil
	}
	s.open.Go(func() { l.run(ctx) })
	return &lane{link: l}
}
