package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// startTimeout is how long a program may take to print a line on stdout.
const startTimeout = 20 * time.Second

// program is one of the two real programs, running.
type program struct {
	name   string
	said   chan string   // its first lines on stdout
	exited chan struct{} // closed when it has ended; err is set then
	err    error
}

// start runs the program at path until ctx ends, and shows its output on out after its name.
func start(ctx context.Context, out *terminal, path string, args ...string) (*program, error) {
	p := &program{name: filepath.Base(path), said: make(chan string, 16), exited: make(chan struct{})}
	out.line("$ " + p.name + " " + strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout = &lines{show: func(line string) {
		out.line(p.name + " | " + line)
		select {
		case p.said <- line:
		default:
		}
	}}
	cmd.Stderr = &lines{show: func(line string) { out.line(p.name + " : " + line) }}
	cmd.SysProcAttr = withParent()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		p.err = cmd.Wait()
	}()
	return p, nil
}

// nextLine waits for the next line that the program prints on stdout.
func (p *program) nextLine(ctx context.Context) (string, error) {
	select {
	case line := <-p.said:
		return line, nil
	case <-p.exited:
		select {
		case line := <-p.said: // it printed nothing more
			return line, nil
		default:
		}
		return "", fmt.Errorf("%s ended before it was ready: %v", p.name, p.err)
	case <-time.After(startTimeout):
		return "", fmt.Errorf("%s said nothing for %v", p.name, startTimeout)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// terminal keeps the lines of several programs whole.
type terminal struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *terminal) line(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintln(t.w, s)
}

// lines is an io.Writer that shows what is written to it line by line.
type lines struct {
	show func(string)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.show(string(line))
		l.rest = rest
	}
}
