// Package show makes tables for people of what package admin says.
//
// It must not ask for anything, or know where the tables go.
package show

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/table"
)

// Invitations are those that can still be used.
func Invitations(list []certs.OpenInvitation) [][]string {
	if len(list) == 0 {
		return [][]string{{"There are no open invitations."}}
	}
	rows := [][]string{{"NAME", "LETS IN", "JOINED", "PORT", "UNTIL"}}
	for _, o := range list {
		rows = append(rows, []string{o.Name, strconv.Itoa(o.Uses), strconv.Itoa(o.Joined), portOrAny(o.Port), o.Expires.Local().Format("2006-01-02 15:04")})
	}
	return rows
}

func portOrAny(port uint16) string {
	if port == 0 {
		return "any"
	}
	return strconv.Itoa(int(port))
}

// Nodes has the beginnings of the ids, as the log shows them; --json has all of them.
func Nodes(list []admin.Node, now time.Time) [][]string {
	if len(list) == 0 {
		return [][]string{{"There are no nodes yet; apquic-server invite invites one."}}
	}
	rows := [][]string{{"NODE", "STATE", "FROM", "RTT", "LOST", "MOVES", "CONNS", "ID"}}
	for _, n := range list {
		row := []string{shorten(cmp.Or(n.Name, "-"), 16), stateOf(n.State, n.Since, now), "", "", "", "", "", n.ID.String()[:8] + "…"}
		if c := n.Connection; c != nil && n.State == admin.Online {
			if c.Silent {
				row[1] = "no answer"
			}
			lost := 100 * float64(c.Lost) / float64(max(c.Sent, 1))
			row[2], row[3], row[4], row[5], row[6] = n.From, fmt.Sprintf("%.3g ms", c.RTT), fmt.Sprintf("%.2g %%", lost), strconv.Itoa(c.Moves), strconv.Itoa(c.Relays)
		}
		rows = append(rows, row)
	}
	return rows
}

// Services has the names below the server's own domain, and what the nodes expose, if all is to be shown.
func Services(services []admin.Service, all bool, now time.Time) [][]string {
	if len(services) == 0 {
		return [][]string{{"There are no services yet."}}
	}
	rows := [][]string{{"NODE", "SERVICE", "PUBLIC", "STATE", "CONNS", "IN", "OUT"}}
	for _, v := range services {
		row := []string{ownerOf(v), shorten(v.Service, 20), publicOf(v), healthOf(v.State, v.Unhealthy, v.Since, now)}
		if v.State == admin.Online {
			row = append(row, strconv.Itoa(v.Connections+v.Flows), table.Bytes(v.In), table.Bytes(v.Out))
		}
		rows = append(rows, row)
		for _, m := range v.Members {
			rows = append(rows, []string{"  " + shortName(m.Name, m.Node), shorten(m.Service, 20), "", healthOf(m.State, m.Unhealthy, nil, now), strconv.Itoa(m.Clients)})
		}
		if refused := v.Refused.String(); refused != "" {
			rows = append(rows, []string{"  refused: " + refused})
		}
		if canary := canaryOf(v.Canary, now); canary != "" && (all || v.Canary.Failing != "") {
			rows = append(rows, []string{"  " + canary})
		}
		if all && v.Hostname != "" {
			rows = append(rows, []string{"  also " + v.Hostname})
		}
		if all && v.Origin != "" {
			rows = append(rows, []string{"  to " + v.Origin})
		}
		if all && v.Pinned {
			rows = append(rows, []string{"  pinned: the port is kept for good"})
		}
		if all && v.HeldUntil != nil && !v.Pinned {
			rows = append(rows, []string{"  kept for the node until " + v.HeldUntil.Local().Format("2006-01-02 15:04")})
		}
	}
	return rows
}

// Relays are those of a page.
func Relays(page admin.Page[admin.Relay], now time.Time) [][]string {
	if page.Total == 0 {
		return [][]string{{"There are no connections."}}
	}
	rows := [][]string{{"NODE", "SERVICE", "CLIENT", "FOR", "IN", "OUT", "STATE"}}
	for _, r := range page.Rows {
		state := r.State
		if r.Resumed > 0 && state == "running" {
			state = fmt.Sprintf("resumed %d", r.Resumed)
		}
		owner := "(group)"
		if !r.Node.IsZero() {
			owner = shorten(shortName(r.Name, r.Node), 12)
		}
		rows = append(rows, []string{owner, shorten(r.Service, 10), r.Client, table.Age(now.Sub(r.Since)), table.Bytes(r.In), table.Bytes(r.Out), state})
	}
	return appendRest(rows, page.Total-len(page.Rows))
}

// Flows are those of a page.
func Flows(page admin.Page[admin.Flow], now time.Time) [][]string {
	if page.Total == 0 {
		return nil
	}
	rows := [][]string{nil, {"NODE", "OVER UDP", "CLIENT", "FOR", "IN", "OUT", "IDLE"}}
	for _, f := range page.Rows {
		owner := "-"
		if !f.Node.IsZero() {
			owner = shorten(shortName(f.Name, f.Node), 12)
		}
		idle := time.Duration(f.Idle * float64(time.Second))
		rows = append(rows, []string{owner, shorten(f.Service, 10), f.Client, table.Age(now.Sub(f.Since)), table.Bytes(f.In), table.Bytes(f.Out), table.Age(idle)})
	}
	return appendRest(rows, page.Total-len(page.Rows))
}

// appendRest says what is not shown.
func appendRest(rows [][]string, more int) [][]string {
	if more > 0 {
		rows = append(rows, []string{fmt.Sprintf("and %d more; --node, --service and --limit say which are shown", more)})
	}
	return rows
}

// ownerOf is whose service it is.
func ownerOf(v admin.Service) string {
	if v.IsGroup() {
		return "(group)"
	}
	return shortName(v.Name, v.Node)
}

func shortName(name string, node certs.NodeID) string {
	return shorten(cmp.Or(name, node.String()[:8]+"…"), 16)
}

// canaryOf is how a service answers its canary; empty: it has none.
func canaryOf(c *admin.Canary, now time.Time) string {
	switch {
	case c == nil:
		return ""
	case c.Failing != "":
		return fmt.Sprintf("canary: for %s %s", table.Age(now.Sub(*c.Since)), c.Failing)
	case c.Proved == nil:
		return "canary: not asked yet"
	}
	return "canary: it answered " + table.Age(now.Sub(*c.Proved)) + " ago"
}

// healthOf is the state of a service whose health check may fail.
func healthOf(state string, unhealthy bool, since *time.Time, now time.Time) string {
	if unhealthy {
		return "unhealthy"
	}
	return stateOf(state, since, now)
}

// publicOf is where the service is reached, and over what if not over TCP.
func publicOf(v admin.Service) string {
	port := strconv.Itoa(int(v.Port))
	switch {
	case v.Private:
		return "private"
	case v.Domain != "":
		return v.Domain
	case v.Transport.HasUDP():
		return port + " " + v.Transport.String()
	}
	return port
}

func stateOf(state string, since *time.Time, now time.Time) string {
	switch {
	case state == admin.Online && since != nil:
		return state + " " + table.Age(now.Sub(*since))
	}
	return state
}

// shorten truncates what would break a table.
func shorten(s string, most int) string { return table.Cut(s, most) }
