package console

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/term"

	"apquic/internal/events"
	"apquic/internal/table"
	"apquic/internal/visits"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

const (
	// lookEvery is how often the view looks whether something has changed.
	lookEvery = 500 * time.Millisecond
	// stopWithin is how long the last picture may take.
	stopWithin = time.Second
	// showRelays and showEvents are how many of the newest there may be to show.
	showRelays, showEvents = 50, 30
	// maxHeld is how many bytes of the log are held until the view begins.
	maxHeld = 64 << 10
)

// Node is what the view asks.
type Node interface {
	Status(ctx context.Context) node.Status
	Relays(which live.Selection) ([]live.Relay, int)
}

// View is the live view of a node. A nil View does nothing.
type View struct {
	out        io.Writer
	size       func() (width, height int, err error)
	foreground func() bool
	color      bool
	visits     *visits.Last
	held       *held // nil: the log goes elsewhere
}

// Open returns the view on the terminal that out is, or nil: it is none, or none that can draw, or the view would hide
// a log which somebody wants to read (readsLog) and which goes to a terminal, too.
func Open(out, log io.Writer, readsLog bool, getenv func(string) string) *View {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || getenv("TERM") == "" || getenv("TERM") == "dumb" {
		return nil
	}
	v := &View{out: out, color: getenv("NO_COLOR") == ""}
	v.size = func() (width, height int, err error) { return term.GetSize(int(file.Fd())) }
	v.foreground = func() bool { return inForeground(int(file.Fd())) }
	if to, ok := log.(*os.File); ok && term.IsTerminal(int(to.Fd())) {
		v.held = &held{to: to}
	}
	if !v.foreground() || v.held != nil && readsLog {
		return nil
	}
	return v
}

// Log returns where the log goes: to, unless that is the terminal of the view, which shows events itself.
func (v *View) Log(to io.Writer) io.Writer {
	if v == nil || v.held == nil {
		return to
	}
	return v.held
}

// Lines returns where lines about leases go: to, unless the view shows them.
func (v *View) Lines(to io.Writer) io.Writer {
	if v == nil {
		return to
	}
	return io.Discard
}

// Close prints what was held of the log if the view has not begun.
func (v *View) Close() {
	if v != nil && v.held != nil {
		v.held.giveUp()
	}
}

// Start shows the view, with who left last, until stop is called, which leaves the last picture on the terminal, unless that
// takes nothing.
func (v *View) Start(of Node, hub *events.Hub, left *visits.Last) (stop func()) {
	if v == nil {
		return func() {}
	}
	v.visits = left
	if v.held != nil {
		v.held.drop()
	}
	ctx, cancel := context.WithCancel(context.Background())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		v.run(ctx, of, hub)
	}()
	return func() {
		cancel()
		select {
		case <-shown:
			if v.held != nil {
				v.held.release()
			}
		case <-time.After(stopWithin): // after ^S a write has no end; the log would wait, too, so it is still dropped
		}
	}
}

// run draws whenever something has changed, until ctx ends, and then once more.
func (v *View) run(ctx context.Context, of Node, hub *events.Hub) {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	s := &scene{addresses: make(map[string]node.ServiceStatus)}
	var p painter
	for {
		if width, height, err := v.size(); v.foreground() {
			if err != nil || width < 1 || height < 1 {
				width, height = table.Width, 24
			}
			s.look(of, hub, v.visits)
			if picture := p.paint(s.draw(width, height), width, height, v.color); picture != nil {
				v.out.Write(picture) // if the terminal is gone, so is whoever looks at it
			}
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
		}
	}
}

// look takes in how things are. It asks neither upstreams nor the server.
func (s *scene) look(of Node, hub *events.Hub, left *visits.Last) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	s.Status, s.now = of.Status(ended), time.Now()
	for i := range s.Services {
		service := &s.Services[i]
		if !service.Unhealthy {
			service.Upstream = nil // was not asked
		}
		if service.PublicAddress != "" {
			s.addresses[service.Service] = *service
		}
	}
	s.relays, _ = of.Relays(live.Selection{})
	s.relays = s.relays[max(len(s.relays)-showRelays, 0):]
	slices.Reverse(s.relays)
	s.visits = left.Newest(showRelays)
	happened, _, _ := hub.After(hub.Last(showEvents), showEvents)
	s.happened = s.happened[:0]
	for _, e := range happened {
		s.happened = append(s.happened, sentence(e))
	}
}

// painter makes the bytes that draw lines over those drawn last.
type painter struct {
	last          []line
	width, height int
}

// paint returns nil if nothing has changed.
func (p *painter) paint(lines []line, width, height int, color bool) []byte {
	const home, restOfLine, below, all = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[2J"
	resized := width != p.width || height != p.height
	if !resized && slices.Equal(lines, p.last) {
		return nil
	}
	var b bytes.Buffer
	if resized {
		b.WriteString(all)
	}
	b.WriteString(home)
	for _, l := range lines {
		if color && l.style != plain {
			b.WriteString("\x1b[" + l.style + "m" + l.text + "\x1b[m")
		} else {
			b.WriteString(l.text)
		}
		if n := table.Columns(l.text); n == 0 || n%width != 0 { // otherwise this would erase the last character
			b.WriteString(restOfLine)
		}
		b.WriteString("\r\n")
	}
	b.WriteString(below)
	p.last, p.width, p.height = lines, width, height
	return b.Bytes()
}
