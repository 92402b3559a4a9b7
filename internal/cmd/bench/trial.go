package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"apquic/internal/cmd/bench/load"
	"apquic/internal/cmd/bench/proc"
)

// trial is one contender, running in front of the service, for one measurement.
type trial struct {
	site
	self    string // the path of this program, for its own parts
	quick   bool
	public  string // the address that clients connect to
	helpers proc.Group

	servicePID int
}

// startTimeout is how long a contender may take until the first echo comes through it.
const startTimeout = 20 * time.Second

// newTrial starts the service and a contender, and waits until an echo comes through.
func (b *bench) newTrial(ctx context.Context, c contender, net *network, exposes exposure) (_ *trial, err error) {
	folder, err := os.MkdirTemp("", "apquic-bench-")
	if err != nil {
		return nil, err
	}
	t := &trial{site: site{network: net, exposes: exposes, folder: folder, ports: &b.ports}, self: b.self, quick: b.quick}
	defer func() {
		if err != nil {
			t.stop()
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("it does not start within %v", startTimeout))
	defer cancel()
	// On all addresses of a home of its own, for a port that is forwarded to it.
	listen := "127.0.0.1:0"
	if t.home != "" {
		listen = "0.0.0.0:0"
	}
	service, err := t.helpers.Start(t.home, t.folder, t.self, "serve", listen)
	if err != nil {
		return nil, err
	}
	match, err := service.Wait(ctx, servingLine)
	if err != nil {
		return nil, err
	}
	t.servicePID = service.PID()
	t.service = "127.0.0.1:" + match[1]
	if t.public, err = c.start(ctx, &t.site); err != nil {
		return nil, err
	}
	if _, err := t.load(ctx, exposes.probe()); err != nil {
		return nil, err
	}
	return t, nil
}

// probe is the load that says whether a contender is ready.
func (e exposure) probe() load.Job {
	job := load.Job{Kind: load.Probe, Host: e.host}
	if e.udp {
		job.Size = 64
	}
	return job
}

func (t *trial) stop() {
	t.helpers.Stop()
	t.programs.Stop()
	os.RemoveAll(t.folder)
}

var (
	servingLine = regexp.MustCompile(`^serving \S+:(\d+)$`)
	resultLine  = regexp.MustCompile(`^\{.*\}$`)
)

// load makes a load process do a job to its end.
func (t *trial) load(ctx context.Context, job load.Job) (load.Result, error) {
	result, p, err := t.keep(ctx, job)
	if p != nil {
		p.Stop()
	}
	return result, err
}

// keep makes a load process do a job. Until it is stopped, the process keeps the job's connections open.
func (t *trial) keep(ctx context.Context, job load.Job) (result load.Result, p *proc.Process, err error) {
	job.Address = t.public
	argument, err := json.Marshal(job)
	if err != nil {
		return result, nil, err
	}
	p, err = t.helpers.Start(t.server, t.folder, t.self, "load", string(argument))
	if err != nil {
		return result, nil, err
	}
	line, err := p.Wait(ctx, resultLine)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return result, p, err
	}
	if err := json.Unmarshal([]byte(line[0]), &result); err != nil {
		return result, p, fmt.Errorf("the load process says %s: %w", line[0], err)
	}
	if result.Error != "" {
		return result, p, errors.New(result.Error)
	}
	return result, p, nil
}

// usage is what a contender's programs used, all together and each, in the order of their start.
type usage struct {
	proc.Usage
	each []proc.Usage
}

// measured does a job and returns what the contender's programs used meanwhile.
func (t *trial) measured(ctx context.Context, job load.Job) (load.Result, usage, error) {
	before, err := t.used()
	if err != nil {
		return load.Result{}, usage{}, err
	}
	result, err := t.load(ctx, job)
	if err != nil {
		return result, usage{}, err
	}
	after, err := t.used()
	for i := range after.each {
		after.each[i] = after.each[i].Minus(before.each[i])
	}
	after.Usage = after.Minus(before.Usage)
	return result, after, err
}

// used is what the contender's programs have used since their start.
func (t *trial) used() (total usage, err error) {
	total.each = make([]proc.Usage, len(t.pids))
	for i, pid := range t.pids {
		if total.each[i], err = proc.UsageOf(pid); err != nil {
			return total, err
		}
		total.CPU += total.each[i].CPU
		total.Memory += total.each[i].Memory
	}
	return total, nil
}

// calm waits, up to a limit, until the tunnel and the service are nearly idle: data for readers that do not
// read has then filled all buffers on the path.
func (t *trial) calm(ctx context.Context) error {
	const step, busy, maxTries = 500 * time.Millisecond, 20 * time.Millisecond, 40
	const enough = 3 // in a row: timers of TCP make pauses, too
	pids := append(slices.Clone(t.pids), t.servicePID)
	before, err := proc.UsageOf(pids...)
	for calm, tries := 0, 0; calm < enough && tries < maxTries; tries++ {
		if err != nil {
			return err
		}
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var now proc.Usage
		now, err = proc.UsageOf(pids...)
		if calm++; now.Minus(before).CPU > busy {
			calm = 0
		}
		before = now
	}
	return err
}

// hasPrograms reports whether there are programs whose use of CPU and memory can be measured.
func (t *trial) hasPrograms() bool { return len(t.pids) > 0 }

// lasting and many reduce the load of a quick run.
func (t *trial) lasting(d time.Duration) time.Duration {
	if t.quick {
		return min(d, 300*time.Millisecond)
	}
	return d
}

func (t *trial) many(n int) int {
	if t.quick {
		return min(n, 20)
	}
	return n
}
