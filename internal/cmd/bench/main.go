// Bench measures apquic and, in the same run, other tunnels whose programs it finds. It starts the real
// programs, each contender in front of the same service and under the same load, both of which run in
// separate processes, and prints a table. make bench runs it.
//
// It must not fetch or build anything, have code of the measured programs other than their configuration, or
// decide whether a figure is good enough: that is what tests are for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"apquic/internal/cmd/bench/load"
	"apquic/internal/cmd/bench/scale"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run does what the first argument says. load and serve are the processes that a measurement starts.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 2 {
		switch args[0] {
		case "load":
			return load.Main(ctx, args[1], stdin, stdout)
		case "serve":
			return load.Serve(ctx, args[1], stdout)
		}
	}
	if len(args) > 0 && args[0] == "nodes" {
		return scale.Main(ctx, args[1:], stdout, stderr)
	}
	return measureAll(ctx, args, stdout, stderr)
}

// options are the flags of bench.
type options struct {
	bin, before, peers string
	only, who          string
	write, part        string
	runs               int
	quick, list        bool
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.bin, "bin", "bin", "folder with our own programs")
	flags.StringVar(&o.before, "before", "", "folder with other programs of our own, to compare with")
	flags.StringVar(&o.peers, "peers", "", "folder with the programs of other tunnels: frps and frpc, chisel, rathole, bore")
	flags.StringVar(&o.only, "only", "", "measure only what matches this regular expression")
	flags.StringVar(&o.who, "who", "", "measure only the contenders that match this regular expression")
	flags.IntVar(&o.runs, "runs", defaultRuns, "how often everything is measured; with an even number each contender is first as often as another")
	flags.BoolVar(&o.quick, "quick", false, "measure for fractions of a second: only whether it works")
	flags.BoolVar(&o.list, "list", false, "list the measurements")
	flags.StringVar(&o.write, "write", "", "document whose measured part is replaced")
	flags.StringVar(&o.part, "part", "", "the name of that part; the others stay as they are")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.runs < 1 {
		return o, errors.New("usage: bench [flags]; --runs is at least 1")
	}
	return o, nil
}

func measureAll(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	b, err := newBench(o, stderr)
	if err != nil {
		return err
	}
	if o.list {
		for _, m := range b.measurements {
			fmt.Fprintln(stdout, m.name)
		}
		return nil
	}
	if o.write != "" {
		if _, err := updated(o.write, o.part, ""); err != nil { // before the time is spent
			return err
		}
	}
	began := time.Now()
	report := b.report(b.run(ctx), command(o), began, time.Now())
	fmt.Fprintf(stdout, "\n%s", report)
	if o.write == "" {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopped; %s stays as it was", o.write)
	}
	return updateDocument(o.write, o.part, report)
}

// defaultRuns is even, so that of any two contenders each is measured as often before the other as after it.
const defaultRuns = 6

// newBench finds what there is to measure.
func newBench(o options, progress io.Writer) (*bench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	linkProgram, err := filepath.Abs(filepath.Join(o.bin, "testlink"))
	if err != nil {
		return nil, err
	}
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	who, err := regexp.Compile(o.who)
	if err != nil {
		return nil, fmt.Errorf("--who: %w", err)
	}
	all, err := contenders(o.bin, o.before, o.peers)
	if err != nil {
		return nil, err
	}
	b := &bench{self: self, linkProgram: linkProgram, runs: o.runs, quick: o.quick, progress: progress}
	b.contenders = slices.DeleteFunc(all, func(c contender) bool { return !who.MatchString(c.name) })
	b.measurements = slices.DeleteFunc(measurements(), func(m measurement) bool { return !only.MatchString(m.name) })
	if len(b.contenders) == 0 || len(b.measurements) == 0 {
		return nil, errors.New("nothing matches --only and --who; --list has the measurements")
	}
	return b, nil
}

// command is how somebody else can do the same.
func command(o options) string {
	text := "make bench"
	if o.peers != "" {
		text += " PEERS=dir"
	}
	if o.before != "" {
		text += " BEFORE=dir"
	}
	if o.runs != defaultRuns {
		text += fmt.Sprintf(" RUNS=%d", o.runs)
	}
	if o.only != "" {
		text += fmt.Sprintf(" ONLY='%s'", o.only)
	}
	if o.who != "" {
		text += fmt.Sprintf(" WHO='%s'", o.who)
	}
	if o.part != "" {
		text += " PART=" + o.part
	}
	return text
}
