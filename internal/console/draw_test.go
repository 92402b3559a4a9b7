package console

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"apquic/internal/hint"
	"apquic/internal/table"
	"apquic/internal/visits"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.Local)

// someScene is that of a node with two services, a visitor who is here, and one who has left.
func someScene() *scene {
	web := node.ServiceStatus{Service: "web", Origin: "tcp://127.0.0.1:80", PublicAddress: "tcp://203.0.113.5:20000", Relays: 1}
	ssh := node.ServiceStatus{Service: "ssh", Origin: "tcp://127.0.0.1:22", PublicAddress: "tcp://203.0.113.5:20001"}
	return &scene{
		Status: node.Status{
			Name: "shed-pi", Address: "tunnel.example.com:8090", Since: noon.Add(-3 * time.Minute),
			Path: live.Path{RTT: 23 * time.Millisecond, Sent: 1000, Lost: 5}, Services: []node.ServiceStatus{web, ssh},
		},
		addresses: map[string]node.ServiceStatus{"web": web, "ssh": ssh},
		relays:    []live.Relay{{Service: "web", Client: "198.51.100.7:4123", Since: noon.Add(-12 * time.Second), In: 1200, Out: 3e6, State: "running"}},
		visits:    []visits.Visit{{Service: "ssh", Client: "198.51.100.9:999", In: 5, Out: 7, Ended: noon.Add(-time.Minute)}},
		happened:  []string{"11:57:00  connected  server=203.0.113.5:8090"},
		now:       noon,
	}
}

func textOf(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

// TestDraw: what a person sees on terminals of several sizes: an address is never cut.
func TestDraw(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		width, height int
		change        func(*scene)
		want          string
	}{
		{80, 24, nil, `web  tcp://203.0.113.5:20000  -> tcp://127.0.0.1:80, 1 open
ssh  tcp://203.0.113.5:20001  -> tcp://127.0.0.1:22, 0 open
connected to tunnel.example.com:8090 as shed-pi for 3 min, 23 ms, 0.5 % lost

SERVICE  VISITOR            IN      OUT     SINCE
web      198.51.100.7:4123  1.2 kB  3.0 MB  12 s
ssh      198.51.100.9:999   5 B     7 B     left 11:59:00

11:57:00  connected  server=203.0.113.5:8090
^C stops the node
`},
		{40, 24, nil, `web  tcp://203.0.113.5:20000
  -> tcp://127.0.0.1:80, 1 open
ssh  tcp://203.0.113.5:20001
  -> tcp://127.0.0.1:22, 0 open
connected to tunnel.example.com:8090 as…

SERVI…  VISITOR  IN      OUT     SINCE
web     198.51…  1.2 kB  3.0 MB  12 s
ssh     198.51…  5 B     7 B     left 1…

11:57:00  connected  server=203.0.113.5…
^C stops the node
`},
		{20, 24, nil, `tcp://203.0.113.5:20000
  web -> tcp://127.…
tcp://203.0.113.5:20001
  ssh -> tcp://127.…
connected to tunnel…

SER…  VIS…  IN    O…
web   198…  1.2…  3…
ssh   198…  5 B   7…

11:57:00  connected…
^C stops the node
`},
		{80, 4, nil, `web  tcp://203.0.113.5:20000  -> tcp://127.0.0.1:80, 1 open
ssh  tcp://203.0.113.5:20001  -> tcp://127.0.0.1:22, 0 open
connected to tunnel.example.com:8090 as shed-pi for 3 min, 23 ms, 0.5 % lost
`},
		{80, 2, nil, "web  tcp://203.0.113.5:20000  -> tcp://127.0.0.1:80, 1 open\n"},
		{80, 7, func(s *scene) {
			s.Since, s.Trouble, s.NextTry = time.Time{}, hint.Add(errors.New("no answer"), "check the firewall"), noon.Add(3500*time.Millisecond)
			s.Services[0].PublicAddress, s.Services[1].PublicAddress = "", ""
		}, `web  tcp://203.0.113.5:20000  -> tcp://127.0.0.1:80, 1 open
ssh  tcp://203.0.113.5:20001  -> tcp://127.0.0.1:22, 0 open
not connected to tunnel.example.com:8090: no answer
hint: check the firewall
next try in 4 s
`},
		{80, 24, func(s *scene) {
			*s = scene{Status: node.Status{Address: "h:1", Services: s.Services[:1]}, now: noon}
			s.Services[0].PublicAddress, s.Services[0].Refusal = "", errors.New("the range is full")
		}, `web  no public address: the range is full  -> tcp://127.0.0.1:80, 1 open
connecting to h:1

no visitors yet
^C stops the node
`},
	} {
		s := someScene()
		if test.change != nil {
			test.change(s)
		}
		if got := textOf(s.draw(test.width, test.height)); got != test.want {
			t.Errorf("%d by %d:\n%swant\n%s", test.width, test.height, got, test.want)
		}
	}
}

// TestDrawFits: whatever there is to show, it fits the terminal, and nothing in it is an order to the terminal.
func TestDrawFits(t *testing.T) {
	t.Parallel()
	evil := "\x1b[2J\x1b]0;title\x07\u202e漢\r\n" + strings.Repeat("x", 300)
	for _, width := range []int{1, 2, 7, 20, 40, 80, 130} {
		for _, height := range []int{1, 2, 3, 5, 9, 24, 50} {
			for _, services := range []int{0, 1, 60} {
				s := someScene()
				s.Services = nil
				for i := range services {
					name := fmt.Sprint("s", i)
					service := node.ServiceStatus{Service: name, Origin: evil, PublicAddress: "tcp://203.0.113.5:2000" + evil, Name: evil, Upstream: errors.New(evil)}
					s.addresses[name] = service
					s.Services = append(s.Services, service)
				}
				s.Name, s.Address, s.happened = evil, evil, nil
				for range height {
					s.relays = append(s.relays, live.Relay{Service: evil, Client: evil, State: evil})
					s.visits = append(s.visits, visits.Visit{Service: "\u009b31m", Client: evil})
					s.happened = append(s.happened, "x")
				}
				if height%4 == 1 {
					s.Since, s.Trouble = time.Time{}, hint.Add(errors.New(evil), "%s", evil)
				}
				lines := s.draw(width, height)
				if n := rows(lines, width); n > max(height-1, 1) && len(lines) > 1 {
					t.Fatalf("%d rows on %d by %d with %d services:\n%s", n, width, height, services, textOf(lines))
				}
				if strings.ContainsFunc(strings.ReplaceAll(textOf(lines), "\n", ""), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' }) {
					t.Fatalf("%q", textOf(lines))
				}
			}
		}
	}
}

// TestPaint: nothing is written when nothing has changed, all of it when the size has, and no line is erased that fills
// the width.
func TestPaint(t *testing.T) {
	t.Parallel()
	var p painter
	lines := []line{{"abcde", strong}, {"", plain}, {"漢字x", bad}, {"abcdef", plain}}
	if got, want := string(p.paint(lines, 5, 9, true)), "\x1b[2J\x1b[H\x1b[1mabcde\x1b[m\r\n\x1b[K\r\n\x1b[31m漢字x\x1b[m\r\nabcdef\x1b[K\r\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := p.paint(lines, 5, 9, true); got != nil {
		t.Errorf("%q though nothing has changed", got)
	}
	if got, want := string(p.paint([]line{{"ab", strong}}, 5, 9, false)), "\x1b[Hab\x1b[K\r\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := string(p.paint([]line{{"ab", strong}}, 6, 9, false)); !strings.HasPrefix(got, "\x1b[2J") {
		t.Errorf("%q after a change of the size", got)
	}
	if table.Columns("漢字x") != 5 {
		t.Error("a wide character has one column")
	}
}
