package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"apquic/internal/cli"
	"apquic/internal/console"
	"apquic/internal/control"
	"apquic/internal/hint"
	"apquic/internal/nodeapi"
	"apquic/internal/table"
	"apquic/internal/watch"
)

// printStatus asks the running node for its status and, with dial, dials its public addresses; if watching, again and
// again.
func printStatus(c *call, dial, asJSON, watching bool) error {
	ctx, cancel := cli.UntilStopped()
	defer cancel()
	once := func(ctx context.Context, w io.Writer) error {
		var s nodeapi.Status
		if err := control.Get(ctx, c.Settings.DataDir, nodeapi.StatusPath, &s); err != nil {
			return err
		}
		if dial {
			dialPublic(ctx, s.Services)
		}
		encoder := json.NewEncoder(w)
		switch {
		case !asJSON:
			writeStatus(w, s, time.Now())
			return nil
		case !watching: // otherwise one line each
			encoder.SetIndent("", "  ")
		}
		return encoder.Encode(s)
	}
	if watching {
		return watch.Run(ctx, c.Stdout, once)
	}
	return once(ctx, c.Stdout)
}

// writeStatus writes s for a person.
func writeStatus(w io.Writer, s nodeapi.Status, now time.Time) {
	called := ""
	if s.Name != "" {
		called = " as " + s.Name
	}
	switch {
	case s.State == nodeapi.Online && s.Since != nil:
		fmt.Fprintf(w, "connected to %s%s for %s, %.3g ms, %.2g %% lost\n", s.Address, called, age(now.Sub(*s.Since)), s.RoundTrip, s.Lost)
	case s.Trouble != "":
		fmt.Fprintf(w, "not connected to %s: %s\n", s.Address, hint.Printable(s.Trouble, 0))
	default:
		fmt.Fprintf(w, "connecting to %s\n", s.Address)
	}
	writeServices(w, s.Services)
	for _, service := range s.Services {
		if len(service.Refused) > 0 {
			fmt.Fprintf(w, "%s: visitors refused since the start: %s\n", service.Service, cli.ByReason(service.Refused))
		}
	}
	if len(s.DatagramsDropped) > 0 {
		fmt.Fprintln(w, "datagrams dropped since the start:", cli.ByReason(s.DatagramsDropped))
	}
	table.Write(w, relayRows(s, now)) // its error is that of w, a terminal or a pipe
}

// writeServices writes a line per service, or several if one would be too long.
func writeServices(w io.Writer, services []nodeapi.Service) {
	var lines strings.Builder
	columns := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	for _, service := range services {
		fmt.Fprintln(columns, strings.Join(cells(service), "\t"))
	}
	columns.Flush()
	for line := range strings.Lines(lines.String()) {
		if table.Cut(line, table.Width+len("\n")) != line {
			writeTall(w, services)
			return
		}
	}
	io.WriteString(w, lines.String())
}

// writeTall writes several lines per service.
func writeTall(w io.Writer, services []nodeapi.Service) {
	for _, service := range services {
		about := cells(service)
		fmt.Fprintf(w, "%s  %s\n", about[0], about[1])
		line := "  "
		for _, cell := range about[2:] {
			if longer := line + "  " + cell; line == "  " || table.Cut(longer, table.Width) == longer {
				line = longer
				continue
			}
			fmt.Fprintln(w, line)
			line = "    " + cell
		}
		fmt.Fprintln(w, line)
	}
}

// cells are what is said of the service: its name, where it is, and then what it does.
func cells(s nodeapi.Service) []string {
	all := []string{s.Service, public(s) + " -> " + bare(s.Origin), fmt.Sprintf("%d open", s.Connections), upstream(s)}
	if outcome := dialled(s); outcome != "" {
		all = append(all, outcome)
	}
	if refused := s.RefusedByServer.String(); refused != "" {
		all = append(all, "refused by the server: "+refused)
	}
	for i, cell := range all {
		all[i] = hint.Printable(cell, 0)
	}
	return all
}

// relayRows are the running relays, if there are any.
func relayRows(s nodeapi.Status, now time.Time) [][]string {
	if len(s.Relays) == 0 {
		return nil
	}
	rows := [][]string{nil, {"SERVICE", "CLIENT", "FOR", "IN", "OUT", "STATE"}}
	for _, r := range s.Relays {
		state := r.State
		if r.Resumed > 0 && state == "running" {
			state = fmt.Sprintf("resumed %d", r.Resumed)
		}
		rows = append(rows, []string{r.Service, r.Client, table.Age(now.Sub(r.Since)), table.Bytes(r.In), table.Bytes(r.Out), state})
	}
	if more := s.RelaysTotal - len(s.Relays); more > 0 {
		rows = append(rows, []string{fmt.Sprintf("and %d more", more)})
	}
	return rows
}

func public(s nodeapi.Service) string {
	switch {
	case strings.HasPrefix(s.Public, console.PrivateScheme):
		return "private (apquic-node connect " + strings.TrimPrefix(s.Public, console.PrivateScheme) + ")"
	case s.Public != "" && s.ByName != "":
		return bare(s.Public) + " and " + s.ByName
	case s.Public != "":
		return bare(s.Public)
	case s.Refusal != "":
		return "no public address (" + s.Refusal + ")"
	}
	return "no public address"
}

func upstream(s nodeapi.Service) string {
	switch {
	case s.Unhealthy:
		return "unhealthy, gets no new connections: " + s.Trouble
	case s.Answers && strings.HasPrefix(s.Origin, "udp://"):
		return "upstream over UDP, which is not asked"
	case s.Answers:
		return "upstream answers"
	}
	return "upstream does not answer: " + s.Trouble
}

// bare is an address without the prefix that most of them have.
func bare(address string) string { return strings.TrimPrefix(address, "tcp://") }

// age is d in its two largest units.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = d.Truncate(time.Second); {
	case d >= day:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d s", max(d, 0)/time.Second)
}
