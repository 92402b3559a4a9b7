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

// Story tells a person how the connection is: each change once, and why.
type Story struct {
	log   *slog.Logger
	peer  string
	begun bool   // it was connected once
	told  string // the last reason; empty while connected
	lost  time.Time
}

// New begins one about a peer.
func New(log *slog.Logger, peer string) *Story { return &Story{log: log, peer: peer} }

// Wait tells, unless stop is called soon, that the first attempt has no answer yet, and when it is given up.
func (s *Story) Wait(timeout time.Duration) (stop func() bool) {
	if s.begun || s.told != "" {
		return func() bool { return true }
	}
	log, text := s.log, fmt.Sprintf("no answer yet from %s, next try in %v", s.peer, timeout-sayAfter)
	return time.AfterFunc(sayAfter, func() { log.Info(text) }).Stop
}

func (s *Story) Connected(address string) {
	if s.begun && s.told == "" {
		return // nobody heard of a doubt
	}
	s.begun = true
	attributes := []any{"server", address}
	if s.told != "" {
		attributes = append(attributes, "after", time.Since(s.lost).Round(time.Second))
	}
	s.log.Info("connected", attributes...)
	s.told = ""
}

func (s *Story) Disconnected(err error, pause time.Duration) {
	err = conn.Explain(err, s.peer)
	if err.Error() == s.told {
		s.log.Debug("still not connected", "reason", err.Error())
		return
	}
	if s.told == "" {
		s.lost = time.Now()
	}
	s.told = err.Error()
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
