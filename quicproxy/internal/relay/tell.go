package relay

import (
	"errors"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/wait"
)

const (
	// What one side has is told to the other in one message for many relays. Nothing waits for it but memory, so
	// that of a few bytes can come late; that of much, of an end, and of a lost stream, should not.
	lazily = int64(time.Second)
	soon   = int64(25 * time.Millisecond)
	atOnce = int64(0)
	// tellAfter is how many bytes of a relay are told at once.
	tellAfter = 1 << 20
	// maxProgress is how many relays one message is about, and maxLast how many may wait that are not here any more.
	maxProgress = 1000
	maxLast     = 4096

	notTelling = int64(-1)
)

// news is what the peer has to hear. There is a goroutine only while there is something, which alone waits for a peer that
// does not read. Association.mu guards it.
type news struct {
	relays map[*resumable]struct{}
	last   map[uint64]*framing.RelayProgress // of relays that are not here any more, or never were
	due    time.Time
	over   *Carrier      // that the goroutine sends over; nil: there is none
	sooner chan struct{} // has room for one: due changed
}

// tell has the peer hear within so many nanoseconds how far this side is.
func (s *resumable) tell(within int64) {
	if already := s.telling.Load(); already != notTelling && already <= within {
		return
	}
	s.telling.Store(within)
	a := s.association
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.relays[s.number] == s {
		a.addNewsLocked(s, within)
	}
}

func (a *Association) addNewsLocked(s *resumable, within int64) {
	if a.news.relays == nil {
		a.news.relays = make(map[*resumable]struct{})
	}
	a.news.relays[s] = struct{}{}
	a.scheduleLocked(time.Duration(within))
}

// tellAll has the peer hear of all relays: what was told before may have been lost with a connection.
func (a *Association) tellAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.relays {
		s.telling.Store(soon)
		a.addNewsLocked(s, soon)
	}
}

// answerLocked tells the peer what became of a relay that it named and that is not here. What has no room is left out: the
// peer names it again, or gives it up after a while.
func (n *news) answerLocked(number uint64, p *framing.RelayProgress) bool {
	if _, waits := n.last[number]; waits {
		return true // its last state says more
	}
	if len(n.last) >= maxLast {
		return false
	}
	if n.last == nil {
		n.last = make(map[uint64]*framing.RelayProgress)
	}
	n.last[number] = p
	return true
}

// forget keeps nothing of s but last, if something is still to be told of it. It reports false if last is nil then.
func (n *news) forget(s *resumable, last *framing.RelayProgress) bool {
	if _, waits := n.relays[s]; waits {
		if last == nil {
			return false
		}
		delete(n.relays, s)
		n.answerLocked(s.number, last)
	}
	return true
}

// send sends what waits, if there is a connection now.
func (a *Association) send() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.news.relays)+len(a.news.last) > 0 {
		a.scheduleLocked(time.Duration(soon))
	}
}

// scheduleLocked has the news sent within so long.
func (a *Association) scheduleLocked(within time.Duration) {
	n, due := &a.news, time.Now().Add(within)
	switch {
	case n.over == nil:
		c := a.messengerLocked()
		if c == nil {
			return // until one joins
		}
		sooner := make(chan struct{}, 1)
		n.due, n.over, n.sooner = due, c, sooner
		c.Working.Go(func() { a.sendNews(c, sooner) })
	case due.Before(n.due):
		n.due = due
		wait.Signal(n.sooner)
	}
}

// messengerLocked is the connection to send messages over: the first that answers.
func (a *Association) messengerLocked() (first *Carrier) {
	for _, c := range a.carriers {
		if c.alive() && !c.suspect {
			return c
		}
		if first == nil && c.alive() {
			first = c
		}
	}
	return first
}

// sendNews sends what is due over c until there is nothing more, or c is not the best connection any longer.
func (a *Association) sendNews(c *Carrier, sooner <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		relays, last, wait := a.takeNews(c)
		switch {
		case wait > 0:
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-sooner:
			case <-c.Context().Done():
			}
			continue
		case len(relays)+len(last) == 0:
			return
		}
		messages := make([]framing.RelayProgress, len(relays))
		for i, s := range relays {
			s.progress(&messages[i])
			last = append(last, &messages[i])
		}
		for len(last) > 0 {
			n := min(len(last), maxProgress)
			if c.Tell(&framing.Progress{Relays: last[:n]}) != nil {
				break // the connection ends; all is told again
			}
			last = last[n:]
		}
	}
}

// takeNews returns what is due, or how long nothing is. After neither the goroutine that sends over c ends.
func (a *Association) takeNews(c *Carrier) (relays []*resumable, last []*framing.RelayProgress, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := &a.news
	waits := len(n.relays)+len(n.last) > 0
	if best := a.messengerLocked(); best != c || !waits {
		n.over = nil
		if best != nil && waits {
			a.scheduleLocked(max(time.Until(n.due), 0))
		}
		return nil, nil, 0
	}
	if wait = time.Until(n.due); wait > 0 {
		return nil, nil, wait
	}
	c.told = true
	for s := range n.relays {
		relays = append(relays, s)
	}
	for _, p := range n.last {
		last = append(last, p)
	}
	n.relays, n.last = nil, nil
	n.due = time.Now().Add(time.Hour) // whoever comes now says how soon
	return relays, last, 0
}

// progress sets p to how far this side is.
func (s *resumable) progress(p *framing.RelayProgress) {
	s.telling.Store(notTelling)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.untold = 0
	arrived := s.arrivedLocked()
	p.Relay, p.Received, p.Stopped, p.ResetCode, p.Final = s.number, s.in.position, s.stopped, uint32(s.code), s.final
	if arrived > p.Received {
		p.Arrived = arrived
	}
	if s.code == framing.NoError {
		p.Final = 0
		if s.header == nil && s.stream == nil && !s.overLocked() {
			p.Lost = s.attempt
		}
	}
}

// Handle is told how far relays are at the other side, over c.
func (a *Association) Handle(c *Carrier, message *framing.Progress) {
	a.mu.Lock()
	c.told = true
	a.mu.Unlock()
	for _, p := range message.Relays {
		if s := a.relay(p.Relay); s != nil {
			s.handle(p)
		} else if p.ResetCode == 0 {
			a.answer(p.Relay)
		}
	}
}

// answer says that a relay that the other side named is over. One that never began here may do so yet.
func (a *Association) answer(number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.relays[number] != nil || a.opens && number > a.last || !a.opens && !a.seen.has(number) {
		return
	}
	if a.news.answerLocked(number, &framing.RelayProgress{Relay: number, ResetCode: uint32(framing.ErrorUnknownRelay)}) {
		a.scheduleLocked(time.Duration(soon))
	}
}

// handle is told how far the other side is.
func (s *resumable) handle(p *framing.RelayProgress) {
	s.mu.Lock()
	s.heard, s.known = true, true
	before := s.out.kept.begin
	err := errors.Join(s.out.acked(p.Received), s.arrivedAtPeerLocked(p, before))
	if s.out.kept.begin != before || s.out.state == over {
		s.acked = time.Now()
		s.changedLocked()
	}
	var lost QUICStream
	if s.header != nil && p.Lost == s.attempt {
		lost = s.stream
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		s.Discard(framing.ErrorRelayReset) // it has what was never sent
	case p.ResetCode != 0:
		s.resetByPeer(&ResetError{framing.ErrorCode(p.ResetCode)}, p.Final)
	case p.Stopped:
		s.stoppedByPeer()
	case lost != nil:
		s.lose(lost)
	}
}
