package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"

	"apquic/internal/domain"
	"apquic/internal/guards"
	"apquic/internal/login"
	"apquic/internal/settings"
)

// logins are what the operator demands of visitors, by the name that they come for, or a wildcard, or *.
type logins map[string]*demand

type demand struct {
	guard    *login.Guard
	password bool
	tls      *tls.Config // for handshakes; nil: as for others
}

// newLogins reads the files that the settings name. handshake is the configuration for names without any.
func newLogins(config settings.Server, handshake *tls.Config, log *slog.Logger) (logins, error) {
	all := make(logins)
	asking := guards.Maker{Place: login.AtServer, DataDir: config.DataDir, Work: login.NewWork(), Log: log}
	for name, demands := range config.Logins {
		guard, err := asking.Make(name, demands)
		if err != nil {
			return nil, err
		}
		all[name] = &demand{guard: guard, password: len(demands.Passwords) > 0}
		if demands.ClientCA != "" {
			all[name].tls = handshake.Clone()
			guard.Demand(all[name].tls)
		}
	}
	return all, nil
}

// at is what is demanded at a name, nil: nothing. The closest one counts.
func (all logins) at(name string) *demand {
	if d := all[name]; d != nil {
		return d
	}
	if wildcard, ok := domain.Wildcard(name); ok && all[wildcard] != nil {
		return all[wildcard]
	}
	return all["*"]
}

// guard is what asks the visitors of a name; nil: nothing.
func (all logins) guard(name string) *login.Guard {
	if d := all.at(name); d != nil {
		return d.guard
	}
	return nil
}

// demanded says whether anything is demanded at a domain, or at a name that it stands for, and whether a password is.
func (all logins) demanded(name string) (demanded, password bool) {
	if d := all.at(name); d != nil {
		demanded, password = true, d.password
	}
	for other, d := range all {
		if domain.IsWildcard(name) && domain.Covers(name, other) {
			demanded, password = true, password || d.password
		}
	}
	return demanded, password
}

// refused is how many visitors were refused since the start, by name and reason.
func (all logins) refused() map[string]map[string]uint64 {
	refused := make(map[string]map[string]uint64)
	for name, d := range all {
		if counts := d.guard.Refused(); len(counts) > 0 {
			refused[name] = counts
		}
	}
	return refused
}

// run works for visitors in the background until ctx ends.
func (all logins) run(ctx context.Context, running *sync.WaitGroup) {
	for _, d := range all {
		running.Go(func() { d.guard.Run(ctx) })
	}
}
