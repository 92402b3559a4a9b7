package console

import (
	"fmt"
	"strings"
	"time"

	"apquic/internal/hint"
	"apquic/internal/table"
	"apquic/internal/visits"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

// Styles of lines, as the parameter of the control sequence SGR (ECMA-48).
const (
	plain  = ""
	strong = "1"
	faint  = "2"
	bad    = "31"
	good   = "32"
)

// maxReason is how many lines the reason takes why there is no connection.
const maxReason = 3

// line is one line of the view. Only an address may be longer than the terminal is wide: it must not be cut, and a
// terminal that wraps it still copies it as one.
type line struct{ text, style string }

// scene is what the view shows.
type scene struct {
	node.Status
	addresses map[string]node.ServiceStatus // the last with an address, by service
	relays    []live.Relay                  // the newest, the last one first
	visits    []visits.Visit                // the same
	happened  []string                      // the last one last
	now       time.Time
}

// draw returns the lines that fit a terminal, of which the last row stays free.
func (s *scene) draw(width, height int) (lines []line) {
	width, rest := max(width, 1), max(height-1, 1)
	state := s.state(width)
	services := s.services(width, height)
	rest -= min(len(state), max(rest-1, 0)) // there is always room for an address
	services, rest = fill(services, width, rest)
	lines = append(services, state[:min(len(state), max(height-1-rows(services, width), 0))]...)
	if rest -= 2; rest > 0 { // an empty line, and the last one
		visitors := s.visitors(width)
		lines = append(lines, line{})
		visitors = visitors[:min(len(visitors), max(rest/2, rest-1-len(s.happened)))]
		lines = append(lines, visitors...)
		rest -= len(visitors) + 1
		if most := min(rest, len(s.happened)); most > 0 {
			lines = append(lines, line{})
			for _, text := range s.happened[len(s.happened)-most:] {
				lines = append(lines, line{table.Cut(text, width), plain})
			}
		}
		lines = append(lines, line{table.Cut("^C stops the node", width), faint})
	}
	return lines
}

// fill returns the lines for which there is room, and how much is left.
func fill(lines []line, width, room int) (fitting []line, rest int) {
	for i, l := range lines {
		need := rows(lines[i:i+1], width)
		switch {
		case need > room && i == 0: // an address all the same
			return lines[:1], 0
		case room == 0:
			return fitting, 0
		case need > room || need == room && i < len(lines)-1 && i > 0:
			return append(fitting, line{table.Cut("more: apquic-node status", width), faint}), 0
		}
		fitting, room = append(fitting, l), room-need
	}
	return fitting, room
}

// rows is how many rows of the terminal lines take.
func rows(lines []line, width int) (n int) {
	for _, l := range lines {
		n += max((table.Columns(l.text)+width-1)/width, 1)
	}
	return n
}

// services says where the first services are, of which more than most would not fit; each in one line if that does.
func (s *scene) services(width, most int) (lines []line) {
	shown := s.Services[:min(len(s.Services), most)]
	if len(shown) == 0 {
		return []line{{table.Cut("no services", width), plain}}
	}
	names, addresses, fits := 0, 0, true
	for _, service := range shown {
		names = max(names, len(service.Service))
		address, _ := s.address(service)
		addresses = max(addresses, table.Columns(address))
	}
	for _, service := range shown {
		if names+2+addresses+2+table.Columns(about(service)) > width {
			fits = false
		}
	}
	for _, service := range shown {
		address, style := s.address(service)
		switch name := fmt.Sprintf("%-*s  ", names, service.Service); {
		case fits:
			lines = append(lines, line{name + address + strings.Repeat(" ", addresses-table.Columns(address)+2) + about(service), style})
		case len(name)+table.Columns(address) <= width:
			lines = append(lines, line{name + address, style}, line{table.Cut("  "+about(service), width), plain})
		default:
			lines = append(lines, line{address, style}, line{table.Cut("  "+service.Service+" "+about(service), width), plain})
		}
		if named := s.addresses[service.Service].Name; named != "" && service.PublicAddress != "" {
			lines = append(lines, line{hint.Printable(named, 0), style})
		}
	}
	return lines
}

// address is where the service is, or why it is nowhere.
func (s *scene) address(service node.ServiceStatus) (text, style string) {
	last := s.addresses[service.Service].PublicAddress
	switch {
	case service.PublicAddress != "":
		text, style = service.PublicAddress, strong
	case service.Refusal != nil:
		text, style = "no public address: "+service.Refusal.Error(), bad
	case last != "":
		text, style = last, faint
	default:
		text, style = "no public address yet", faint
	}
	if target, private := strings.CutPrefix(text, PrivateScheme); private {
		text = "private: apquic-node connect " + target
	}
	return hint.Printable(text, 0), style
}

// about is what is behind a service, and how it is.
func about(service node.ServiceStatus) string {
	text := fmt.Sprintf("-> %s, %d open", service.Origin, service.Relays)
	if service.Upstream != nil {
		text += ", " + service.Upstream.Error()
	}
	return hint.Printable(text, 0)
}

// state says how the connection to the server is, or why there is none, and when the next try is.
func (s *scene) state(width int) []line {
	const maxText = 128 // bytes of a name
	address := hint.Printable(s.Address, maxText)
	switch {
	case !s.Since.IsZero():
		called := ""
		if s.Name != "" {
			called = " as " + hint.Printable(s.Name, maxText)
		}
		lost := 100 * float64(s.Path.Lost) / float64(max(s.Path.Sent, 1))
		text := fmt.Sprintf("connected to %s%s for %s, %.3g ms, %.2g %% lost", address, called, table.Age(s.now.Sub(s.Since)),
			float64(s.Path.RTT.Microseconds())/1000, lost)
		return []line{{table.Cut(text, width), good}}
	case s.Trouble == nil:
		return []line{{table.Cut("connecting to "+address, width), plain}}
	}
	lines := wrap("not connected to "+address+": "+hint.Printable(s.Trouble.Error(), 0), width, bad)
	if advice := hint.Of(s.Trouble); advice != "" {
		lines = append(lines, wrap("hint: "+hint.Printable(advice, 0), width, plain)...)
	}
	next := "trying again"
	if wait := s.NextTry.Sub(s.now); wait > 0 {
		next = "next try in " + table.Age(wait+time.Second-1)
	}
	return append(lines, line{table.Cut(next, width), plain})
}

// wrap breaks a text between words into at most maxReason lines.
func wrap(text string, width int, style string) (lines []line) {
	for len(lines) < maxReason-1 && table.Columns(text) > width {
		end := len(strings.TrimSuffix(table.Cut(text, width), "…"))
		space := strings.LastIndexByte(text[:end], ' ')
		if space <= 0 {
			break
		}
		lines = append(lines, line{text[:space], style})
		text = text[space+1:]
	}
	return append(lines, line{table.Cut(text, width), style})
}

// visitors has those who are here, the newest first, and then those who have left.
func (s *scene) visitors(width int) (lines []line) {
	if len(s.relays)+len(s.visits) == 0 {
		return []line{{table.Cut("no visitors yet", width), plain}}
	}
	rows := [][]string{{"SERVICE", "VISITOR", "IN", "OUT", "SINCE"}}
	for _, r := range s.relays {
		since := table.Age(s.now.Sub(r.Since))
		if r.State != "running" {
			since += ", " + r.State
		}
		rows = append(rows, []string{r.Service, r.Client, table.Bytes(r.In), table.Bytes(r.Out), since})
	}
	for _, v := range s.visits {
		rows = append(rows, []string{v.Service, v.Client, table.Bytes(v.In), table.Bytes(v.Out), "left " + v.Ended.Local().Format(time.TimeOnly)})
	}
	for _, text := range table.Lines(rows, width) {
		lines = append(lines, line{text, plain})
	}
	lines[0].style = strong
	return lines
}
