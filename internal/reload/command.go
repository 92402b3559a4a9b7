package reload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"apquic/internal/cli"
	"apquic/internal/control"
	"apquic/internal/hint"
)

const (
	// Path is where a program answers the command on its control socket.
	Path = "/api/v1/reload"
	// patience is how long a reload may take.
	patience = 30 * time.Second
)

// ServeHTTP reloads for the command; it is for POST at Path.
func (r *Reloader) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	control.Answer(w, r.Now("the command reload"))
}

// Command has the program running on a data directory reload, and writes what came of it. The error is why nothing has
// changed.
func Command(ctx context.Context, directory string, asJSON bool, out io.Writer) error {
	client, err := control.Connect(ctx, directory)
	if err != nil {
		return err
	}
	status, content, err := client.Ask(ctx, http.MethodPost, Path, nil, patience)
	if err != nil {
		return err
	}
	var report Report
	if status != http.StatusOK {
		return fmt.Errorf("the running program cannot reload: %s", http.StatusText(status))
	}
	if err := json.Unmarshal(content, &report); err != nil {
		return fmt.Errorf("the answer of the running program: %w", err)
	}
	if asJSON {
		err = cli.WriteJSON(out, report)
	} else {
		report.write(out)
	}
	return errors.Join(err, report.err())
}

// write says what has changed, for a person.
func (r Report) write(out io.Writer) {
	for _, what := range r.Changed {
		fmt.Fprintln(out, "changed:", what)
	}
	for _, what := range r.Restart {
		fmt.Fprintln(out, "needs a restart:", what)
	}
	if len(r.Changed)+len(r.Restart)+len(r.Errors) == 0 {
		fmt.Fprintln(out, "nothing has changed")
	}
}

// err is why nothing has changed, as the program would say it at its start.
func (r Report) err() error {
	var all []error
	for _, text := range r.Errors {
		all = append(all, errors.New(text))
	}
	if len(all) == 0 {
		return nil
	}
	for _, text := range r.Hints {
		all[0] = hint.Add(all[0], "%s", text)
	}
	return cli.ConfigError(errors.Join(all...))
}
