package show

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"apquic/admin"
	"apquic/internal/cli"
	"apquic/internal/table"
	"apquic/quicproxy/live"
)

// Summary answers what people ask first: is the server reached, who is here, how much goes through. in and out are
// bytes per second.
func Summary(s admin.Status, in, out uint64, now time.Time) [][]string {
	rows := append([][]string{{"reachable", reachable(s, now)}}, nodesLine(s, now), portsLine(s))
	if c := s.Counters; c != nil {
		connections, flows := Visitors(s)
		rows = append(rows, []string{"now", fmt.Sprintf("%s, %s over UDP; %s/s in, %s/s out", count(connections, "connection"), count(flows, "flow"), table.Bytes(in), table.Bytes(out))},
			[]string{"since start", fmt.Sprintf("%s; %s in, %s out", count(int(c.Connections), "connection"), table.Bytes(c.In), table.Bytes(c.Out))})
		if c.Refused > 0 {
			rows = append(rows, []string{"refused", fmt.Sprintf("%d: %s", c.Refused, cli.ByReason(c.RefusedBy))})
		}
	}
	if b := s.Budgets; b != nil {
		rows = append(rows, []string{"in use", fmt.Sprintf("memory %s, connections %s, flows %s, files %s", used(b.Memory), used(b.Clients), used(b.Flows), used(b.Files))})
	}
	return append(rows, nil)
}

// reachable says what the server can know of that: whether nodes have come from other networks.
func reachable(s admin.Status, now time.Time) string {
	switch {
	case !s.Running:
		return "no, the server is not running"
	case s.Outside > 0:
		return fmt.Sprintf("yes, at %s; %d from the internet, since %s", s.Address, s.Outside, table.Age(now.Sub(*s.LastOutside)))
	case s.Online > 0:
		return "at " + s.Address + "; so far only nodes of this network are here"
	}
	return "not known: no node is here; the address for nodes is " + s.Address
}

func nodesLine(s admin.Status, now time.Time) []string {
	up := ""
	if s.Since != nil {
		up = "; the server is up " + forPeople(now.Sub(*s.Since))
	}
	return []string{"nodes", fmt.Sprintf("%d of %d online%s", s.Online, s.Nodes, up)}
}

func portsLine(s admin.Status) []string {
	text := fmt.Sprintf("%d in use", s.Used)
	if s.Ports > 0 {
		text = fmt.Sprintf("%d of %d ports in use", s.Used, s.Ports)
	}
	if s.Domains > 0 {
		text += ", " + count(s.Domains, "service") + " with a domain"
	}
	return []string{"ports", text}
}

// used is the part of a limit.
func used(u live.Usage) string {
	percent := 100 * float64(u.Used) / float64(max(u.Limit, 1))
	if percent > 0 && percent < 1 {
		return "<1 %"
	}
	return fmt.Sprintf("%.0f %%", percent)
}

// Visitors counts what runs now.
func Visitors(s admin.Status) (connections, flows int) {
	for _, v := range s.Services {
		connections, flows = connections+v.Connections, flows+v.Flows
	}
	return connections, flows
}

// forPeople is a duration in its largest unit, with the hours while there are few days.
func forPeople(d time.Duration) string {
	if hours := int(d % (24 * time.Hour) / time.Hour); d >= 24*time.Hour && d < 10*24*time.Hour && hours > 0 {
		return fmt.Sprintf("%s %d h", table.Age(d), hours)
	}
	return table.Age(d)
}

// Logins are the visitors who were refused at names where they must log in.
func Logins(s admin.Status) (rows [][]string) {
	for _, name := range slices.Sorted(maps.Keys(s.Logins)) {
		rows = append(rows, []string{fmt.Sprintf("%s: visitors refused since the start: %s", name, cli.ByReason(s.Logins[name]))})
	}
	return rows
}

// count says how many of something there are.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
