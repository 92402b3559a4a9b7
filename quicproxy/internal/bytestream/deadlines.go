package bytestream

import "time"

// deadlines are those of callers who have some.
type deadlines struct {
	read, write           time.Time
	readTimer, writeTimer *time.Timer
}

func passed(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

// SetReadDeadline implements Stream.
func (s *resumable) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deadlinesLocked()
	d.read, d.readTimer = t, s.armLocked(d.readTimer, t)
	if s.stream != nil {
		s.stream.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline implements Stream.
func (s *resumable) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deadlinesLocked()
	d.write, d.writeTimer = t, s.armLocked(d.writeTimer, t)
	if s.stream != nil && s.out.state == onStream {
		s.stream.SetWriteDeadline(t)
	}
	return nil
}

func (s *resumable) deadlinesLocked() *deadlines {
	if s.deadlines == nil {
		s.deadlines = new(deadlines)
	}
	return s.deadlines
}

func (s *resumable) armLocked(timer *time.Timer, t time.Time) *time.Timer {
	if timer != nil {
		timer.Stop()
	}
	s.changed.Broadcast()
	if t.IsZero() {
		return nil
	}
	return time.AfterFunc(time.Until(t), s.broadcast)
}

// stopTimersLocked lets go of the stream: a running timer would keep it in memory.
func (s *resumable) stopTimersLocked() {
	timers := []*time.Timer{s.lingering}
	if s.deadlines != nil {
		timers = append(timers, s.readTimer, s.writeTimer)
	}
	for _, timer := range timers {
		if timer != nil {
			timer.Stop()
		}
	}
}
