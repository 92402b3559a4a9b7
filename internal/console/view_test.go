package console

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/events"
	"apquic/internal/visits"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

// stillNode is a node on which nothing happens.
type stillNode struct{ scene *scene }

func (n stillNode) Status(ctx context.Context) node.Status {
	if ctx.Err() == nil {
		panic("the view has upstreams asked")
	}
	status := n.scene.Status
	status.Since = time.Now().Add(-time.Hour - time.Second)
	return status
}

func (n stillNode) Relays(live.Selection) ([]live.Relay, int) { return nil, 0 }

// TestView: it draws when something has changed and at its end, not otherwise, and nothing of it is left.
func TestView(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var front atomic.Bool
		front.Store(true)
		v := &View{out: &out, size: func() (int, int, error) { return 80, 24, nil }, foreground: front.Load}
		left := new(visits.Last)
		hub := events.New(left.Handler(slog.DiscardHandler))
		log := slog.New(hub)
		log.Info("connected", "server", "203.0.113.5:8090\x1b[2J")
		stop := v.Start(stillNode{someScene()}, hub, left)
		time.Sleep(20 * time.Second)
		if got := out.String(); strings.Count(got, "\x1b[H") != 1 || !strings.Contains(got, "web  tcp://203.0.113.5:20000  -> ") || !strings.Contains(got, "connected  server=203.0.113.5:8090 [2J") {
			t.Errorf("%q", got)
		}
		out.Reset()
		log.Debug("relay ended", "service", "web", "client", "198.51.100.7:1", "to_upstream", uint64(12), "from_upstream", uint64(34))
		log.Debug("something else")
		time.Sleep(20 * time.Second)
		if got := out.String(); strings.Count(got, "\x1b[H") != 1 || !strings.Contains(got, "198.51.100.7:1  12 B  34 B  left ") || strings.Contains(got, "else") {
			t.Errorf("%q", got)
		}
		front.Store(false)
		synctest.Wait()
		out.Reset()
		log.Warn("a warning")
		time.Sleep(time.Second)
		if out.Len() > 0 {
			t.Errorf("%q on the terminal of another program", out.String())
		}
		stop()
	})
}

// stopped is a terminal that takes nothing, as after ^S, until it is released.
type stopped struct{ released chan struct{} }

func (s stopped) Write(text []byte) (int, error) {
	<-s.released
	return len(text), nil
}

// TestStoppedTerminal: a terminal that takes nothing keeps nobody from stopping, nor does the log that goes there.
func TestStoppedTerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		terminal := stopped{make(chan struct{})}
		v := &View{out: terminal, size: func() (int, int, error) { return 80, 24, nil }, foreground: func() bool { return true }, held: &held{to: terminal}}
		log := slog.New(slog.NewTextHandler(v.Log(terminal), nil))
		stop := v.Start(stillNode{someScene()}, events.New(slog.DiscardHandler), new(visits.Last))
		time.Sleep(time.Minute)
		begun := time.Now()
		ended := make(chan struct{})
		go func() {
			stop()
			log.Info("stopped")
			v.Close()
			log.Info("stopped, too")
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(time.Hour):
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("stopping takes %v", took)
		}
		close(terminal.released)
	})
}

// TestHeld: on the terminal of a view the log is held until the view begins, dropped meanwhile, and written after it.
func TestHeld(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	h := &held{to: &out}
	for range 100 {
		io.WriteString(h, strings.Repeat("x", 5000))
	}
	io.WriteString(h, "failed\n")
	if len(h.bytes) > maxHeld || out.Len() > 0 {
		t.Errorf("%d bytes are held, %d written", len(h.bytes), out.Len())
	}
	(&View{held: h}).Close()
	io.WriteString(h, "more\n")
	if !strings.HasSuffix(out.String(), "xfailed\nmore\n") {
		t.Errorf("%q", out.String())
	}
	out.Reset()
	h = &held{to: &out}
	v := &View{held: h}
	io.WriteString(h, "before\n")
	h.drop()
	io.WriteString(h, "meanwhile\n")
	h.release()
	io.WriteString(h, "after\n")
	v.Close()
	if out.String() != "after\n" {
		t.Errorf("%q", out.String())
	}
}

// TestNoTerminal: without a terminal there is no view, and everything goes where it went.
func TestNoTerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	v := Open(&out, &out, false, func(string) string { return "xterm" })
	if v != nil || v.Log(&out) != io.Writer(&out) || v.Lines(&out) != io.Writer(&out) {
		t.Error("there is a view")
	}
	v.Start(nil, nil, nil)()
	v.Close()
}
