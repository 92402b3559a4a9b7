package proc

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"sync"
)

// maxLines is how many unread lines are kept: a program that logs each connection must not fill the measuring
// program's memory.
const maxLines = 1 << 16

var errEnded = errors.New("the program ended")

// ansi is what colours a line in a terminal.
var ansi = regexp.MustCompile("\x1b\\[[0-9;]*m")

// lines is an io.Writer that takes what a program prints and returns it line by line.
type lines struct {
	mu      sync.Mutex
	partial []byte
	waiting []string // not yet looked at by next
	latest  string
	ended   bool
	changed chan struct{} // closed and replaced with each change
}

func newLines() *lines { return &lines{changed: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		line, rest, found := bytes.Cut(l.partial, []byte("\n"))
		if !found {
			break
		}
		l.partial = rest
		l.latest = ansi.ReplaceAllString(string(line), "")
		if l.waiting = append(l.waiting, l.latest); len(l.waiting) > maxLines {
			l.waiting = l.waiting[1:]
		}
	}
	l.changeLocked()
	return len(p), nil
}

func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.changeLocked()
}

func (l *lines) changeLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// last is the line printed last.
func (l *lines) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest
}

// next waits for a line that matches and forgets it and all before it.
func (l *lines) next(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	for {
		match, changed, err := l.look(pattern)
		if match != nil || err != nil {
			return match, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (l *lines) look(pattern *regexp.Regexp) (match []string, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 {
		line := l.waiting[0]
		l.waiting = l.waiting[1:]
		if match := pattern.FindStringSubmatch(line); match != nil {
			return match, nil, nil
		}
	}
	if l.ended {
		return nil, nil, errEnded
	}
	return nil, l.changed, nil
}
