// Package health asks a service from time to time whether it is well.
//
// It must not know servers, or decide what follows.
package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/wait"
)

const (
	// every is how often a service is asked, and patience how long it may take to answer.
	every, patience = 10 * time.Second, 5 * time.Second
	// failures in a row make a service unhealthy; a single answer makes it healthy again. Of a service that
	// was not asked before a single failure is enough: it may be about to start.
	failures = 2
	// maxHeader bounds the header of an answer.
	maxHeader = 64 << 10
)

// TCP is the setting of a check that only connects.
const TCP = "tcp"

// Check returns why a service is not well; nil: it is.
type Check func(ctx context.Context) error

// Monitor asks one service; nil: it asks none, which counts as healthy.
type Monitor struct {
	check Check

	mu   sync.Mutex
	sick error
}

// New returns what a setting means: TCP, or the path of an HTTP request that is to be answered with 2xx or
// 3xx; empty: nil. origin is where the service is (docs/protocol.md section 5.3), host what it is asked for; empty: its
// address. connects checks whether it can be reached, and dial connects to it.
func New(setting, origin, host string, connects Check, dial func(context.Context) (net.Conn, error)) (*Monitor, error) {
	switch setting {
	case "":
		return nil, nil
	case TCP:
		return &Monitor{check: connects}, nil
	}
	target, err := url.ParseRequestURI(setting)
	if err != nil || !strings.HasPrefix(setting, "/") || target.Host != "" {
		return nil, fmt.Errorf("the health check %q is neither %q nor the path of an HTTP request, such as /healthz", setting, TCP)
	}
	target.Scheme, target.Host = "http", "localhost" // dial ends TLS
	if network, address, _ := framing.ParseOrigin(origin); network != "unix" && network != "file" {
		target.Host = address
	}
	target.Host = cmp.Or(host, target.Host)
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
	}
	return &Monitor{check: func(ctx context.Context) error { return get(ctx, transport, *target) }}, nil
}

// get asks once, and follows no redirect.
func get(ctx context.Context, transport *http.Transport, target url.URL) error {
	request := &http.Request{Method: http.MethodGet, URL: &target, Header: http.Header{"User-Agent": {"apquic-health"}}}
	response, err := transport.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("it answers %s with %s", request.URL.RequestURI(), response.Status)
	}
	return nil
}

// Sick returns why the service is unhealthy; nil: it is not.
func (m *Monitor) Sick() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sick
}

// Run asks until ctx ends, and calls changed with the reason when the service becomes unhealthy, and with nil
// when it is healthy again. It begins as healthy.
func (m *Monitor) Run(ctx context.Context, changed func(sick error)) {
	if m == nil {
		return
	}
	failed := failures - 1
	for ctx.Err() == nil {
		err := ask(ctx, m.check)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failed = 0
		default:
			failed++
		}
		if was := m.Sick(); was == nil && failed >= failures || was != nil && failed == 0 {
			m.mu.Lock()
			m.sick = err
			m.mu.Unlock()
			changed(err)
		}
		wait.Sleep(ctx, every)
	}
}

// Ask asks now, in the same way, and changes nothing; a service without a check of its own is asked by otherwise.
func (m *Monitor) Ask(ctx context.Context, otherwise Check) error {
	if m == nil {
		return otherwise(ctx)
	}
	return m.check(ctx)
}

func ask(ctx context.Context, check Check) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := check(limited)
	if err != nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it does not answer within %v", patience)
	}
	return err
}
