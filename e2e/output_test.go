package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"
)

// output collects what a process writes and lets a reader wait for lines of it.
type output struct {
	mu      sync.Mutex
	data    []byte
	read    int           // await goes on from here
	closed  bool          // nothing more comes
	changed chan struct{} // closed and made anew when there is more
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data = append(o.data, p...)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.data)
}

// await returns the next line that matches, and what its groups match.
func (o *output) await(expression *regexp.Regexp) ([]string, error) {
	deadline := time.After(maxWait)
	for {
		match, closed, changed := o.next(expression)
		switch {
		case match != nil:
			return match, nil
		case closed:
			return nil, fmt.Errorf("it ended without a line like %v", expression)
		}
		select {
		case <-changed:
		case <-deadline:
			return nil, errors.New("no line like " + expression.String())
		}
	}
}

func (o *output) next(expression *regexp.Regexp) (match []string, closed bool, changed chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := o.read
	for {
		end := bytes.IndexByte(o.data[at:], '\n')
		if end < 0 {
			return nil, o.closed, o.changed
		}
		line := string(o.data[at : at+end])
		at += end + 1
		if match := expression.FindStringSubmatch(line); match != nil {
			o.read = at
			return match, false, nil
		}
	}
}

// rewind makes await start with the first line again.
func (o *output) rewind() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.read = 0
}
