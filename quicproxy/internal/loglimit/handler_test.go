package loglimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// limitedLog is a log in a test, and what was written to it.
func limitedLog(level slog.Level) (*slog.Logger, *Handler, *strings.Builder) {
	written := new(strings.Builder)
	log := New(slog.NewTextHandler(written, &slog.HandlerOptions{Level: level}))
	return slog.New(log), log, written
}

func lines(b *strings.Builder) int { return strings.Count(b.String(), "\n") }

// TestLogFlood: refusals with a new reason each time do not fill the log, and a summary says how many there
// were.
func TestLogFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, limited, written := limitedLog(slog.LevelInfo)
		bad := log.With("node", "A", "from", "192.0.2.1:1")
		for i := range 3000 {
			bad.Warn("request refused", "err", fmt.Errorf("%q is no name", fmt.Sprint("n", i)))
			time.Sleep(time.Millisecond)
		}
		if n := lines(written); n != warningBurst {
			t.Errorf("%d lines of one node, want %d", n, warningBurst)
		}
		log.With("node", "B").Warn("request refused", "err", errors.New("the range is full"))
		if n := lines(written); n != warningBurst+1 {
			t.Error("another node is no longer heard")
		}
		written.Reset()
		limited.Summarize(context.Background(), time.Now())
		limited.Summarize(context.Background(), time.Now())
		want := fmt.Sprintf(`level=WARN msg="lines like this one were suppressed because there were too many" line="request refused" lines=%d one_of="node=A"`, 3000-warningBurst)
		if got := written.String(); lines(written) != 1 || !strings.Contains(got, want) {
			t.Errorf("the summary is %q", got)
		}
	})
}

// TestLogNumbers: a number in a message does not make a new kind of line.
func TestLogNumbers(t *testing.T) {
	t.Parallel()
	log, _, written := limitedLog(slog.LevelInfo)
	for i := range 3000 {
		log.Warn(fmt.Sprintf("not connected, next try in %ds", i))
	}
	if n := lines(written); n != warningBurst {
		t.Errorf("%d lines, want %d", n, warningBurst)
	}
}

// TestLogNews: a warning is repeated if something has happened to its subject since, or after a while; an
// event each time.
func TestLogNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, limited, written := limitedLog(slog.LevelInfo)
		told := func(want int, tell func()) {
			t.Helper()
			before := lines(written)
			tell()
			if got := lines(written) - before; got != want {
				t.Errorf("%d lines, want %d", got, want)
			}
			time.Sleep(time.Second)
		}
		lost := func() {
			log.Warn("not connected", "node", "A", "reason", "nothing came", "after", time.Since(time.Unix(0, 0)))
		}
		told(1, lost)
		told(0, lost)
		told(1, func() { log.Warn("not connected", "node", "B", "reason", "nothing came") })
		told(1, func() { log.Warn("not connected", "node", "A", "reason", "refused") })
		told(0, lost)
		told(1, func() { log.Info("connected", "node", "A") })
		told(1, func() { log.Info("connected", "node", "A") })
		told(1, lost)
		time.Sleep(repeatAfter)
		told(1, lost)
		told(0, func() { limited.Summarize(context.Background(), time.Now()) }) // nobody misses a repetition
	})
}

// TestLogStrangers: a new subject with each line cannot fill the log, and does not silence events.
func TestLogStrangers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, limited, written := limitedLog(slog.LevelInfo)
		for i := range 5000 {
			log.Warn("node refused", "node", i)
		}
		if n := lines(written); n != allWarnings {
			t.Errorf("%d lines, want %d", n, allWarnings)
		}
		if n := len(limited.lines.subjects); n > maxSubjects {
			t.Errorf("%d subjects are remembered", n)
		}
		log.Info("node connected", "node", "A")
		if n := lines(written); n != allWarnings+1 {
			t.Error("the connection of a good node is not told")
		}
		time.Sleep(time.Hour)
		written.Reset()
		for i := range 10_000 {
			log.Warn("node refused", "node", i)
			time.Sleep(100 * time.Millisecond)
		}
		if n := lines(written); n > allWarnings+int(1000*time.Second/warningPause) {
			t.Errorf("%d lines in 1000 s", n)
		}
	})
}

// TestLogAudit: neither a flood of other lines nor of audit lines with another cause suppresses an audit
// line; but each cause is limited.
func TestLogAudit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, limited, written := limitedLog(slog.LevelInfo)
		audit := func(event, node string, more ...any) (told bool) {
			before := lines(written)
			log.Info("audit", append([]any{"event", event, "node", node}, more...)...)
			return lines(written) > before
		}
		events := []string{"join", "dismiss", "lease-given", "lease-moved", "lease-lost"}
		flood := func(who string, node func(i int) string, guest func(i int) []any) {
			written.Reset()
			begin, n := time.Now(), 0
			for i := range 3000 {
				log.Info("node connected", "node", node(i))
				log.Warn(fmt.Sprint("refused: ", string(rune('a'+i%26)), i), "node", node(i))
				for _, event := range events {
					if audit(event, node(i), guest(i)...) {
						n++
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
			if most := len(events) * (auditBurst + int(time.Since(begin)/eventPause) + 1); n > most {
				t.Errorf("%d audit lines of %s, want %d at most", n, who, most)
			}
			for _, event := range events {
				if !audit(event, "good") {
					t.Errorf("after the flood of %s nobody is told of %s", who, event)
				}
			}
			if len(limited.lines.causes) > maxCauses {
				t.Errorf("%d causes are remembered", len(limited.lines.causes))
			}
			limited.Summarize(context.Background(), time.Now())
			if !strings.Contains(written.String(), `line="audit lease-given"`) {
				t.Errorf("nobody is told that lines of %s were left out", who)
			}
		}
		ever := func(i int) string { return fmt.Sprint("new", i) }
		flood("a node", func(int) string { return "bad" }, func(int) []any { return nil })
		flood("a guest with many keys", ever, func(int) []any { return []any{GuestKey, "192.0.2.1"} })
		flood("guests with many addresses", ever, func(i int) []any { return []any{GuestKey, i} })
		for i := range 100 { // of one node that has so many services
			if !audit("lease-given", "big") {
				t.Fatalf("lease %d is not told", i)
			}
		}
	})
}

// TestLogBoundKinds: messages that are not constant are limited, too.
func TestLogBoundKinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, limited, written := limitedLog(slog.LevelInfo)
		for i := range 10_000 {
			log.Warn(fmt.Sprint("failed ", i), "node", i)
		}
		if n := lines(written); n > maxKinds+allWarnings || len(limited.lines.kinds) > maxKinds+1 {
			t.Errorf("%d lines, %d kinds", n, len(limited.lines.kinds))
		}
	})
}

// TestLogDebug: at debug level all lines are logged.
func TestLogDebug(t *testing.T) {
	t.Parallel()
	log, _, written := limitedLog(slog.LevelDebug)
	for i := range 100 {
		log.WithGroup("g").Warn("request refused", "err", i)
	}
	if n := strings.Count(written.String(), "level=DEBUG"); n != 100-warningBurst {
		t.Errorf("%d debug lines", n)
	}
}
