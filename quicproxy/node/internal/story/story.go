package story

import (
	"fmt"
	"log/slog"
	"time"

	"apquic/internal/hint"
	"apquic/quicproxy/internal/conn"
)

// sayAfter is how long a person looks at a line that says "connecting" before they wonder.
const sayAfter = 2 * time.Second

// Story is the connection log: it tells a person of each change once, and why.
type Story struct {
	log      *slog.Logger
	peer     string
	begun    bool   // it has been connected before
	reported string // the last logged reason; empty while connected
	lost     time.Time
}

// New begins the log of the connection to peer.
func New(log *slog.Logger, peer string) *Story { return &Story{log: log, peer: peer} }

// Wait logs, unless stop is called soon, that the first attempt has no answer yet, and when the next one
// comes.
func (s *Story) Wait(timeout time.Duration) (stop func() bool) {
	if s.begun || s.reported != "" {
		return func() bool { return true }
	}
	log, text := s.log, fmt.Sprintf("no answer yet from %s, next try in %v", s.peer, timeout-sayAfter)
	return time.AfterFunc(sayAfter, func() { log.Info(text) }).Stop
}

// Connected logs a connection, unless no trouble was logged since the last one.
func (s *Story) Connected(address string) {
	if s.begun && s.reported == "" {
		return // no trouble was logged
	}
	s.begun = true
	attributes := []any{"server", address}
	if s.reported != "" {
		attributes = append(attributes, "after", time.Since(s.lost).Round(time.Second))
	}
	s.log.Info("connected", attributes...)
	s.reported = ""
}

// Disconnected logs why there is no connection, if that is news, and when the next try comes.
func (s *Story) Disconnected(err error, pause time.Duration) {
	err = conn.Explain(err, s.peer)
	if err.Error() == s.reported {
		s.log.Debug("still not connected", "reason", err.Error())
		return
	}
	if s.reported == "" {
		s.lost = time.Now()
	}
	s.reported = err.Error()
	attributes := []any{"reason", err.Error()}
	if advice := hint.Of(err); advice != "" {
		attributes = append(attributes, "hint", advice)
	}
	next := "trying again"
	if pause = pause.Round(time.Second); pause > 0 {
		next = "next try in " + pause.String()
	}
	s.log.Warn("not connected, "+next, attributes...)
}
