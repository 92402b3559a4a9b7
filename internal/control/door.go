package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"apquic/internal/hint"
)

// doorPath is where a program says on its socket, and nowhere else, how its owner gets in with a browser.
const doorPath = "/door"

// door is how. The link has the token in its fragment, which browsers do not send.
type door struct {
	Link string `json:"link"`
}

// doorOf is the door at a listener; empty hosts: it is asked for by its address.
func doorOf(scheme string, at net.Addr, hosts []string, token string) door {
	address := at.String()
	if on, err := netip.ParseAddrPort(address); err == nil && on.Addr().IsUnspecified() {
		host := "127.0.0.1"
		if len(hosts) > 0 {
			host = hosts[0]
		}
		address = net.JoinHostPort(host, fmt.Sprint(on.Port()))
	}
	link := scheme + "://" + address + "/"
	if token != "" {
		link += "#token=" + url.QueryEscape(token)
	}
	return door{link}
}

// beside returns a handler that tells of d, if there is a page, and has next answer all else.
func (d door) beside(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.HandleFunc("GET "+doorPath, func(w http.ResponseWriter, r *http.Request) {
		if d.Link == "" {
			http.NotFound(w, r)
			return
		}
		Answer(w, d)
	})
	return mux
}

// Link returns the address at which a browser shows the page of the program running on a data directory, and logs in:
// whoever has it owns the program.
func Link(ctx context.Context, directory string) (string, error) {
	c, err := Connect(ctx, directory)
	if err != nil {
		return "", err
	}
	status, content, err := c.Ask(ctx, http.MethodGet, doorPath, nil, Timeout)
	var d door
	switch {
	case err != nil:
		return "", err
	case status == http.StatusNotFound:
		return "", hint.Add(errors.New("the running program has no dashboard"), "start it with --dashboard 127.0.0.1:8091")
	case status != http.StatusOK:
		return "", fmt.Errorf("asking %s for its dashboard: %s", c.path, http.StatusText(status))
	}
	if err := json.Unmarshal(content, &d); err != nil {
		return "", fmt.Errorf("the answer from %s: %w", c.path, err)
	}
	return d.Link, nil
}
