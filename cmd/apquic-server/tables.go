package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/cli"
	"apquic/internal/hint"
)

// table prints rows in columns as wide as their widest cell.
func table(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			row[i] = hint.Printable(cell, 0)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%-*s", widths[i]+2, cell)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

func printInvitations(w io.Writer, list []certs.OpenInvitation) {
	if len(list) == 0 {
		fmt.Fprintln(w, "There are no open invitations.")
		return
	}
	rows := [][]string{{"NAME", "LETS IN", "JOINED", "PORT", "UNTIL"}}
	for _, o := range list {
		rows = append(rows, []string{o.Name, strconv.Itoa(o.Uses), strconv.Itoa(o.Joined), portOrAny(o.Port), o.Expires.Local().Format("2006-01-02 15:04")})
	}
	table(w, rows)
}

func portOrAny(port uint16) string {
	if port == 0 {
		return "any"
	}
	return strconv.Itoa(int(port))
}

func printNodes(w io.Writer, list []admin.Node, now time.Time) {
	if len(list) == 0 {
		fmt.Fprintln(w, "There are no nodes yet; apquic-server invite invites one.")
		return
	}
	rows := [][]string{{"NODE", "STATE", "PORTS", "ID"}}
	for _, n := range list {
		rows = append(rows, []string{shorten(cmp.Or(n.Name, "-"), 16), stateOf(n.State, n.Since, now), strconv.Itoa(n.Services), n.ID.String()})
	}
	table(w, rows)
}

func printStatus(w io.Writer, s admin.Status, now time.Time) {
	line := []string{"not running"}
	if s.Running {
		line[0] = "up " + forPeople(now.Sub(*s.Since))
	}
	if s.Address != "" {
		line = append(line, s.Address)
	}
	switch {
	case s.Ports > 0:
		line = append(line, fmt.Sprintf("%d of %d ports in use", s.Used, s.Ports))
	case s.Used == 1:
		line = append(line, "1 port in use")
	default:
		line = append(line, fmt.Sprintf("%d ports in use", s.Used))
	}
	if s.Domains > 0 {
		line = append(line, fmt.Sprintf("%d with a domain", s.Domains))
	}
	fmt.Fprintln(w, strings.Join(line, "   "))
	if len(s.Services) > 0 {
		printServices(w, s, now)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Logins)) {
		fmt.Fprintf(w, "%s: visitors refused since the start: %s\n", name, cli.ByReason(s.Logins[name]))
	}
}

func printServices(w io.Writer, s admin.Status, now time.Time) {
	rows := [][]string{{"NODE", "SERVICE", "PORT", "STATE", "CONNS", "IN", "OUT", "FROM"}}
	if slices.ContainsFunc(s.Services, func(v admin.Service) bool { return v.Refused.String() != "" }) {
		rows[0] = append(rows[0], "REFUSED")
	}
	for _, v := range s.Services {
		row := []string{nodeOf(v), shorten(v.Service, 10), portOrDomain(v), healthOf(v.State, v.Unhealthy, v.Since, now)}
		if v.State == admin.Online {
			row = append(row, strconv.Itoa(v.Connections+v.Flows), bytesForPeople(v.In), bytesForPeople(v.Out), v.From, v.Refused.String())
		} else if refused := v.Refused.String(); refused != "" {
			row = append(row, "", "", "", "", refused)
		}
		rows = append(rows, row)
		for _, m := range v.Members {
			rows = append(rows, []string{"  " + shortName(m.Name, m.Node), shorten(m.Service, 10), "", healthOf(m.State, m.Unhealthy, nil, now), strconv.Itoa(m.Clients)})
		}
	}
	table(w, rows)
}

// nodeOf is whose service it is.
func nodeOf(v admin.Service) string {
	if v.IsGroup() {
		return "(group)"
	}
	return shortName(v.Name, v.Node)
}

func shortName(name string, node certs.NodeID) string {
	return shorten(cmp.Or(name, node.String()[:8]+"…"), 14)
}

// healthOf is the state of a service whose health check may fail.
func healthOf(state string, unhealthy bool, since *time.Time, now time.Time) string {
	if unhealthy {
		return "unhealthy"
	}
	return stateOf(state, since, now)
}

// portOrDomain is where the service is reached, and over what if not over TCP.
func portOrDomain(v admin.Service) string {
	port := strconv.Itoa(int(v.Port))
	switch {
	case v.Domain != "":
		return shorten(v.Domain, 30)
	case v.Transport.HasUDP():
		return port + " " + v.Transport.String()
	}
	return port
}

func stateOf(state string, since *time.Time, now time.Time) string {
	switch {
	case state == admin.Online && since != nil:
		return state + " " + largest(now.Sub(*since))
	}
	return state
}

// largest is a duration in its largest unit.
func largest(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d", int(d/(24*time.Hour)))
	case d >= time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	case d >= time.Minute:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	}
	return fmt.Sprintf("%d s", int(d/time.Second))
}

// forPeople is a duration in its largest unit, with the hours while there are few days.
func forPeople(d time.Duration) string {
	if hours := int(d % (24 * time.Hour) / time.Hour); d >= 24*time.Hour && d < 10*24*time.Hour && hours > 0 {
		return fmt.Sprintf("%s %d h", largest(d), hours)
	}
	return largest(d)
}

// bytesForPeople has at least two digits, in decimal units.
func bytesForPeople(n uint64) string {
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for value >= 1000 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	if unit > 0 && value < 9.95 {
		return fmt.Sprintf("%.1f %s", value, units[unit])
	}
	return fmt.Sprintf("%.0f %s", value, units[unit])
}

// shorten truncates what would break a table.
func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

func nameOf(n admin.Node) string { return cmp.Or(n.Name, n.ID.String()) }

// count says how many of something there are.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
