// Package scale measures a real apquic-server with thousands of nodes: what each costs in memory and CPU
// while idle, and how soon all are back after the server was killed. The nodes are the library's, all in this
// process; their services are never used.
package scale

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"apquic/internal/cmd/bench/proc"
)

// options are the flags of bench nodes.
type options struct {
	count      int
	server     string
	firstPort  int
	keepalive  time.Duration
	idle       time.Duration
	perAddress int
	timeout    time.Duration
	over       time.Duration
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench nodes", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.count, "count", 1000, "how many nodes")
	flags.StringVar(&o.server, "server", "bin/apquic-server", "the program to measure")
	flags.IntVar(&o.firstPort, "first-port", 9900, "where the range of public ports begins")
	flags.DurationVar(&o.keepalive, "keepalive", 15*time.Second, "how often each node checks that the server answers")
	flags.DurationVar(&o.idle, "idle", time.Minute, "how long to measure the server while nothing happens")
	flags.IntVar(&o.perAddress, "per-address", 100, "how many nodes share an IP address")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long the nodes may take to get their leases")
	flags.DurationVar(&o.over, "over", 0, "start the nodes at random moments within this time instead of all at once")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	// Some ports of the range may be taken by others.
	if last := o.firstPort + o.count + o.count/10; o.count < 1 || o.perAddress < 1 || o.firstPort < 1 || last > 65535 {
		return o, errors.New("--count, --per-address and --first-port must be positive and make ports below 65536")
	}
	return o, nil
}

// Main measures and prints what it found, one line for each figure.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	data, err := os.MkdirTemp("", "apquic-scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	m := &measurement{options: o, data: data, out: stdout}
	return m.run(ctx)
}

// measurement is one run.
type measurement struct {
	options
	data string
	out  io.Writer
	base proc.Usage // of the server without nodes
}

func (m *measurement) run(ctx context.Context) error {
	s, err := m.startServer(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { s.stop() }()
	if m.base, err = s.usage(); err != nil {
		return err
	}
	fleet, err := m.newFleet(s)
	if err != nil {
		return err
	}
	defer fleet.stop()

	leases, err := m.await(ctx, s, "to the first lease of all", func() { fleet.start(ctx, m.over) })
	if err != nil {
		return err
	}
	if err := m.idleCost(ctx, s); err != nil {
		return err
	}
	address := s.address
	s.kill()
	restarted, err := m.startServer(ctx, address)
	if err != nil {
		return fmt.Errorf("starting the server again: %w", err)
	}
	s = restarted
	again, err := m.await(ctx, s, "until all are back after kill -9 and a restart", func() {})
	if err != nil {
		return err
	}
	m.compare(leases, again)
	return m.idleCost(ctx, s)
}

// await waits until every node has a lease, and reports how long it took and how often nodes connected.
func (m *measurement) await(ctx context.Context, s *server, title string, begin func()) (map[string]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, m.timeout, fmt.Errorf("not within %v", m.timeout))
	defer cancel()
	start := time.Now()
	begin()
	leases, connected, times, err := s.leases(ctx, m.count)
	if err != nil {
		return nil, fmt.Errorf("%d of %d nodes have their lease after %d connections: %w", len(leases), m.count, connected, err)
	}
	used, err := s.usage()
	if err != nil {
		return nil, err
	}
	m.tell(title, "%.1f s (half of them %.1f s)", times[len(times)-1].Sub(start).Seconds(), times[len(times)/2].Sub(start).Seconds())
	m.tell("  connections made for it", "%d", connected)
	m.tell("  CPU of the server for it", "%.2f ms per node", used.Minus(m.base).CPU.Seconds()*1000/float64(m.count))
	return leases, nil
}

// idleCost measures what the nodes cost while nothing happens.
func (m *measurement) idleCost(ctx context.Context, s *server) error {
	if err := sleep(ctx, m.keepalive); err != nil { // each node has sent its first keepalive
		return err
	}
	before, err := s.usage()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := sleep(ctx, m.idle); err != nil {
		return err
	}
	after, err := s.usage()
	if err != nil {
		return err
	}
	share := after.Minus(before).CPU.Seconds() / time.Since(begin).Seconds()
	m.tell("memory of the server", "%.1f KiB per node", float64(after.Minus(m.base).Memory)/float64(m.count)/1024)
	m.tell(fmt.Sprintf("CPU of the server with keepalives each %v", m.keepalive), "%.1f %% of a core", 100*share)
	return nil
}

// compare reports which nodes have another port than before.
func (m *measurement) compare(before, after map[string]string) {
	same := 0
	for node, public := range before {
		if after[node] == public {
			same++
		}
	}
	m.tell("  nodes with their old port", "%d of %d", same, m.count)
}

func (m *measurement) tell(title, format string, values ...any) {
	fmt.Fprintf(m.out, "%-50s %s\n", title, fmt.Sprintf(format, values...))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
