package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"apquic/internal/hint"
)

// Timeout is how long a running program may take for an answer that costs it nothing; after that it hangs, or
// was stopped.
const Timeout = 5 * time.Second

// maxAnswer is the most bytes read of an answer.
const maxAnswer = 64 << 20

// NotRunningError says that no process answers on a socket.
type NotRunningError struct {
	Path  string
	cause error
}

func (e *NotRunningError) Error() string { return fmt.Sprintf("nothing answers at %s", e.Path) }
func (e *NotRunningError) Unwrap() error { return e.cause }

// Hint says what to look at.
func (e *NotRunningError) Hint() string {
	return "start the program, or name its data directory with --data-dir"
}

// Client asks the program running on a data directory.
type Client struct {
	path string // to show
	http http.Client
}

// Connect returns a client of the program running on a data directory, once that has answered. If there is
// none the error is a [*NotRunningError].
func Connect(ctx context.Context, directory string) (*Client, error) {
	c := &Client{path: filepath.Join(directory, SocketName)}
	c.http.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, directory) },
	}
	_, _, err := c.Ask(ctx, http.MethodHead, "/", nil, Timeout)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func dial(ctx context.Context, directory string) (net.Conn, error) {
	shown := filepath.Join(directory, SocketName)
	path, done, err := socketPath(directory)
	if err == nil {
		defer done()
		var conn net.Conn
		if conn, err = new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
			return conn, nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, &NotRunningError{shown, err}
	case errors.Is(err, fs.ErrPermission):
		return nil, hint.Add(err, "ask as the user of the program, or as root")
	case errors.Is(err, syscall.EAGAIN): // many are already waiting
		return nil, context.DeadlineExceeded
	}
	return nil, err
}

// Ask sends a request for target, such as /api/v1/status, and returns the status and the body of the answer. If
// the program does not answer in time the error has a hint.
func (c *Client) Ask(ctx context.Context, method, target string, body io.Reader, within time.Duration) (status int, content []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://socket"+target, body)
	if err != nil {
		return 0, nil, err
	}
	response, err := c.http.Do(request)
	if err == nil {
		defer response.Body.Close()
		status = response.StatusCode
		content, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	}
	if e, ok := errors.AsType[*NotRunningError](err); ok {
		return 0, nil, e
	}
	switch {
	case err == nil:
		return status, content, nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return 0, nil, hint.Add(fmt.Errorf("the program at %s is running, but does not answer within %v", c.path, within),
			"it hangs, or was stopped: kill -CONT continues a stopped one; otherwise see its log, and restart it")
	}
	return 0, nil, fmt.Errorf("asking %s: %w", c.path, err)
}

// Stream asks for target and returns the body of the answer, which ends with ctx or the program.
func (c *Client) Stream(ctx context.Context, target string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://socket"+target, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.path, err)
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("asking %s for %s: %s", c.path, target, http.StatusText(response.StatusCode))
	}
	return response.Body, nil
}

// Get asks the program running on a data directory for target and decodes its JSON answer into answer.
func Get(ctx context.Context, directory, target string, answer any) error {
	c, err := Connect(ctx, directory)
	if err != nil {
		return err
	}
	status, content, err := c.Ask(ctx, http.MethodGet, target, nil, Timeout)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("asking %s for %s: %s", c.path, target, http.StatusText(status))
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return fmt.Errorf("the answer from %s: %w", c.path, err)
	}
	return nil
}

// Answer writes an answer as indented JSON.
func Answer(w http.ResponseWriter, answer any) {
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(text, '\n'))
}
