// Package proc starts the programs of a benchmark, in this network or in a namespace, and reads what they use
// from /proc. It must not know what the programs are for.
package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is how long a program may take to end after SIGTERM before it is killed.
const stopTimeout = 3 * time.Second

// Place is where a program runs: a network namespace by its name, or "" for the network of this process.
type Place string

// command is the command line that runs argv there. ip becomes the program, so that the process started is
// the program itself.
func (p Place) command(argv []string) *exec.Cmd {
	if p != "" {
		argv = append([]string{"ip", "netns", "exec", string(p)}, argv...)
	}
	return exec.Command(argv[0], argv[1:]...)
}

// Run runs a program to its end and returns what it printed.
func (p Place) Run(argv ...string) (string, error) {
	out, err := p.command(argv).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// Process is a program that was started. Stop must be called.
type Process struct {
	// Stdin is open until Stop.
	Stdin io.WriteCloser

	name   string
	cmd    *exec.Cmd
	lines  *lines
	exited chan struct{} // closed when it has ended; err is set then
	err    error
}

// Start starts a program in its own folder, with only PATH from this process's environment: proxies and
// settings of the person who measures are not part of the measurement.
func (p Place) Start(folder string, argv ...string) (*Process, error) {
	started := &Process{name: filepath.Base(argv[0]), cmd: p.command(argv), lines: newLines(), exited: make(chan struct{})}
	started.cmd.Dir = folder
	started.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "NO_COLOR=1"}
	started.cmd.WaitDelay = stopTimeout
	started.cmd.Stdout, started.cmd.Stderr = started.lines, started.lines
	var err error
	if started.Stdin, err = started.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := started.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", started.name, err)
	}
	go func() {
		defer close(started.exited)
		started.err = started.cmd.Wait()
		started.lines.close()
	}()
	return started, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Wait waits for the next line of output that matches, after the line that Wait returned last, and returns
// what the groups matched, as regexp.FindStringSubmatch does.
func (p *Process) Wait(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	match, err := p.lines.next(ctx, pattern)
	switch {
	case err == nil:
		return match, nil
	case errors.Is(err, errEnded):
		<-p.exited
		return nil, fmt.Errorf("%s ended (%v): %s", p.name, p.err, p.lines.last())
	}
	return nil, fmt.Errorf("%s last printed %q and does not print %q: %w", p.name, p.lines.last(), pattern, err)
}

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Kill ends the program without a warning and waits for the end.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

// Stop asks the program to end, insists if it does not, and waits for the end.
func (p *Process) Stop() {
	p.Stdin.Close()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		p.Kill()
	}
}

// Group is programs that are stopped together, the last one first.
type Group struct {
	mu        sync.Mutex
	processes []*Process
}

// Start starts a program as Place.Start does and makes it part of the group.
func (g *Group) Start(place Place, folder string, argv ...string) (*Process, error) {
	p, err := place.Start(folder, argv...)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.processes = append(g.processes, p)
	return p, nil
}

// Stop stops all programs of the group and empties it.
func (g *Group) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := len(g.processes) - 1; i >= 0; i-- {
		g.processes[i].Stop()
	}
	g.processes = nil
}
