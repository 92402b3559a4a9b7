package show

import (
	"time"

	"apquic/admin"
	"apquic/internal/table"
)

// Meter measures bytes per second between two looks.
type Meter struct {
	at      time.Time
	in, out uint64
}

// Begun reports whether Take was called.
func (m *Meter) Begun() bool { return !m.at.IsZero() }

// Take returns the rates since the last call; 0 at first.
func (m *Meter) Take(s admin.Status, now time.Time) (in, out uint64) {
	if s.Counters == nil {
		return 0, 0
	}
	if m.Begun() {
		in, out = table.Rate(m.in, s.Counters.In, now.Sub(m.at)), table.Rate(m.out, s.Counters.Out, now.Sub(m.at))
	}
	m.at, m.in, m.out = now, s.Counters.In, s.Counters.Out
	return in, out
}
