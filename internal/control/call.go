package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 20
	// patience bounds the whole of it: the process may be stopped, or hang.
	patience = 10 * time.Second
)

// NotRunningError says that no process answers at a socket.
type NotRunningError struct {
	Path  string
	cause error
}

func (e *NotRunningError) Error() string { return fmt.Sprintf("nothing answers at %s", e.Path) }
func (e *NotRunningError) Unwrap() error { return e.cause }

// Hint says what to look at.
func (e *NotRunningError) Hint() string {
	return "start the program, name its data directory with --data-dir, and ask as its user or root"
}

// Get asks the process at the socket path for what is at target, such as /status, and decodes its answer, JSON, into
// answer. Nobody there is a [*NotRunningError].
func Get(ctx context.Context, path, target string, answer any) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
			if err != nil {
				return nil, &NotRunningError{path, err}
			}
			return conn, nil
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://socket"+target, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if e, ok := errors.AsType[*NotRunningError](err); ok {
		return e
	}
	if err != nil {
		return fmt.Errorf("asking at %s: %w", path, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking at %s for %s: %s", path, target, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("the answer at %s: %w", path, err)
	}
	return nil
}

// Answer writes an answer, as JSON for people and programs.
func Answer(w http.ResponseWriter, answer any) {
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(text, '\n'))
}
