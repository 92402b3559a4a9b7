package notices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"apquic/internal/hint"
)

const (
	// commandTimeout is how long a command may run, and commandDelay how long after its end others may keep what it
	// writes open.
	commandTimeout, commandDelay = 30 * time.Second, time.Second
	// maxCommands is how many run at once.
	maxCommands = 4
	// maxSaid is how many bytes of what it says about a failure are kept.
	maxSaid = 200
)

// command runs a command for each message.
type command struct {
	arguments []string
	places    chan struct{} // shared by all commands of a program
	timeout   time.Duration
	from      sender
}

// send runs it once. It gets the message on stdin and in its environment.
func (c *command) send(ctx context.Context, m message) error {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	said := &beginningOf{most: maxSaid}
	run := exec.CommandContext(ctx, c.arguments[0], c.arguments[1:]...)
	run.Stdin, run.Stderr = bytes.NewReader(append(m.json(c.from), '\n')), said
	run.Env = c.environment(m)
	run.WaitDelay = commandDelay
	end := inGroup(run)
	err := start(run)
	if err == nil {
		err = run.Wait()
	}
	end()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it has ended, and left others behind
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return permanent{err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("it has not ended within %v", c.timeout)
	}
	if text := strings.TrimSpace(hint.Printable(string(said.text), 0)); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// environment is all that the command gets: that of the program may have secrets.
func (c *command) environment(m message) (all []string) {
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ", "SYSTEMROOT"} {
		if value, given := os.LookupEnv(name); given {
			all = append(all, name+"="+value)
		}
	}
	for _, name := range placeholders {
		all = append(all, "NOTICE_"+strings.ToUpper(name)+"="+m.value(name, c.from))
	}
	for _, name := range []string{"node", "name", "service", "domain"} {
		all = append(all, "NOTICE_"+strings.ToUpper(name)+"="+m.value(attribute+name, c.from))
	}
	return all
}

// beginningOf keeps the beginning of what is written.
type beginningOf struct {
	text []byte
	most int
}

func (b *beginningOf) Write(p []byte) (int, error) {
	b.text = append(b.text, p[:min(len(p), b.most-len(b.text))]...)
	return len(p), nil
}
