package connlog

import (
	"fmt"
	"log/slog"
	"time"

	"apquic/internal/hint"
	"apquic/quicproxy/internal/conn"
)

// sayAfter is how long a person looks at a line that says "connecting" before they wonder.
const sayAfter = 2 * time.Second

// Log tells a person of each change once, and why.
type Log struct {
	log      *slog.Logger
	peer     string
	begun    bool   // it has been connected before
	reported string // the last logged reason; empty while connected
	lost     time.Time
}

// New begins the log of the connection to peer.
func New(log *slog.Logger, peer string) *Log { return &Log{log: log, peer: peer} }

// Wait logs, unless stop is called soon, that the first attempt has no answer yet, and when the next one
// comes.
func (l *Log) Wait(timeout time.Duration) (stop func() bool) {
	if l.begun || l.reported != "" {
		return func() bool { return true }
	}
	log, text := l.log, fmt.Sprintf("no answer yet from %s, next try in %v", l.peer, timeout-sayAfter)
	return time.AfterFunc(sayAfter, func() { log.Info(text) }).Stop
}

// Connected logs a connection, unless no trouble was logged since the last one.
func (l *Log) Connected(address string) {
	if l.begun && l.reported == "" {
		return // no trouble was logged
	}
	l.begun = true
	attributes := []any{"server", address}
	if l.reported != "" {
		attributes = append(attributes, "after", time.Since(l.lost).Round(time.Second))
	}
	l.log.Info("connected", attributes...)
	l.reported = ""
}

// Disconnected logs why there is no connection, if that is news, and when the next try comes.
func (l *Log) Disconnected(err error, pause time.Duration) {
	err = conn.Explain(err, l.peer)
	if err.Error() == l.reported {
		l.log.Debug("still not connected", "reason", err.Error())
		return
	}
	if l.reported == "" {
		l.lost = time.Now()
	}
	l.reported = err.Error()
	attributes := []any{"reason", err.Error()}
	if advice := hint.Of(err); advice != "" {
		attributes = append(attributes, "hint", advice)
	}
	next := "trying again"
	if pause = pause.Round(time.Second); pause > 0 {
		next = "next try in " + pause.String()
	}
	l.log.Warn("not connected, "+next, attributes...)
}
