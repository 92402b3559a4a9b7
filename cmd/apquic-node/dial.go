package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"apquic/internal/nodeapi"
)

// dialTimeout is how long a public address may take to answer.
const dialTimeout = 3 * time.Second

// Outcomes of dialling a public address.
const (
	reachable = "reachable"
	refused   = "refused"
	noAnswer  = "no answer"
	failed    = "failed" // with the reason
)

// dialPublic connects to each public address from here, as a visitor would, and closes at once. The upstream
// may see the connection.
func dialPublic(ctx context.Context, services []nodeapi.Service) {
	var dialling sync.WaitGroup
	for i := range services {
		s := &services[i]
		address := dialable(s.Public)
		if address == "" {
			continue
		}
		dialling.Go(func() { s.Dialled, s.DialTrouble = dialOne(ctx, address) })
	}
	dialling.Wait()
}

// dialable is the host and port of a public address; empty: there is none, or it is a wildcard.
func dialable(public string) string {
	scheme, address, _ := strings.Cut(public, "://")
	port, known := map[string]string{"tcp": "", "tcp+udp": "", "https": "443", "http": "80"}[scheme]
	if !known || strings.HasPrefix(address, "*") {
		return ""
	}
	if _, _, err := net.SplitHostPort(address); err != nil && port != "" {
		address = net.JoinHostPort(address, port)
	}
	return address
}

func dialOne(ctx context.Context, address string) (result, trouble string) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	switch {
	case err == nil:
		conn.Close()
		return reachable, ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused, ""
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return noAnswer, ""
	}
	return failed, err.Error()
}

// dialled says in words how that went; empty: nothing was dialled.
func dialled(s nodeapi.Service) string {
	switch s.Dialled {
	case noAnswer:
		_, port, _ := net.SplitHostPort(dialable(s.Public))
		return fmt.Sprintf("no answer: does a firewall in front of the server let TCP %s in?", port)
	case failed:
		return "cannot be dialled: " + s.DialTrouble
	}
	return s.Dialled
}
