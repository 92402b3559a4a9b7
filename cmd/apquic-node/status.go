package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"apquic/internal/cli"
	"apquic/internal/control"
)

// printStatus asks the running node for its status and, with dial, dials its public addresses.
func printStatus(c *call, dial, asJSON bool) error {
	ctx, cancel := cli.UntilStopped()
	defer cancel()
	var s status
	if err := control.Get(ctx, c.Settings.DataDir, statusPath, &s); err != nil {
		return err
	}
	if dial {
		dialPublic(ctx, s.Services)
	}
	if asJSON {
		text, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.Stdout, string(text))
		return err
	}
	writeStatus(c.Stdout, s, time.Now())
	return nil
}

// writeStatus writes s for a person.
func writeStatus(w io.Writer, s status, now time.Time) {
	called := ""
	if s.Name != "" {
		called = " as " + s.Name
	}
	switch {
	case s.State == online && s.Since != nil:
		fmt.Fprintf(w, "connected to %s%s for %s, %.3g ms, %.2g %% lost\n", s.Address, called, age(now.Sub(*s.Since)), s.RoundTrip, s.Lost)
	case s.Trouble != "":
		fmt.Fprintf(w, "not connected to %s: %s\n", s.Address, s.Trouble)
	default:
		fmt.Fprintf(w, "connecting to %s\n", s.Address)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, service := range s.Services {
		fmt.Fprintf(table, "%s\t%s -> %s\t%d open\t%s", service.Service, service.public(), bare(service.Origin), service.Connections, service.upstream())
		if dialled := service.dialled(); dialled != "" {
			fmt.Fprintf(table, "\t%s", dialled)
		}
		if refused := service.RefusedByServer.String(); refused != "" {
			fmt.Fprintf(table, "\trefused by the server: %s", refused)
		}
		fmt.Fprintln(table)
	}
	table.Flush() // its error is that of w, a terminal or a pipe
	for _, service := range s.Services {
		if len(service.Refused) > 0 {
			fmt.Fprintf(w, "%s: visitors refused since the start: %s\n", service.Service, cli.ByReason(service.Refused))
		}
	}
	if len(s.DatagramsDropped) > 0 {
		fmt.Fprintln(w, "datagrams dropped since the start:", cli.ByReason(s.DatagramsDropped))
	}
}

func (s serviceStatus) public() string {
	switch {
	case strings.HasPrefix(s.Public, privateScheme):
		return "private (apquic-node connect " + strings.TrimPrefix(s.Public, privateScheme) + ")"
	case s.Public != "" && s.ByName != "":
		return bare(s.Public) + " and " + s.ByName
	case s.Public != "":
		return bare(s.Public)
	case s.Refusal != "":
		return "no public address (" + s.Refusal + ")"
	}
	return "no public address"
}

func (s serviceStatus) upstream() string {
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
