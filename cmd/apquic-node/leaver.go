package main

import (
	"context"
	"errors"
	"net/http"

	"apquic/internal/cli"
	"apquic/internal/control"
	"apquic/internal/hint"
)

var errLeft = errors.New("the node has left its server, and stops")

// leaver has a running node leave its server. The node first stops offering its services, which the server then holds for
// it; if that cannot be told to give them up, the node offers them again, and goes on.
type leaver struct {
	of   *follower
	stop context.CancelFunc // of the node, which lets visitors finish
}

// ServeHTTP implements http.Handler.
func (l *leaver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control.Answer(w, l.leave(r.URL.Query().Get("force") == "true"))
}

// leave returns what came of it, whoever still waits for that.
func (l *leaver) leave(force bool) left {
	f := l.of
	f.changing.Lock()
	defer f.changing.Unlock()
	outcome := left{Server: f.node.Status(ended()).Address, ID: f.key.ID(), Named: !f.running.Server.Server.IsZero()}
	err := errLeft
	if !f.gone {
		err = f.withdraw()
		outcome.Released = err == nil
		if err != nil && !force {
			err = orForce(err)
		} else {
			err = f.server.forget(f.running.DataDir)
		}
		if err != nil {
			f.resume()
		}
	}
	if err != nil {
		outcome.Trouble, outcome.Hint = cli.Errors(err)[0], hint.Of(err)
		return outcome
	}
	f.gone = true
	f.log.Info("left the server: the node stops")
	l.stop()
	return outcome
}

// end is what the program ends with once the node has stopped.
func (l *leaver) end(err error) error {
	l.of.changing.Lock()
	defer l.of.changing.Unlock()
	if err == nil && l.of.gone {
		return cli.Ended(cli.ExitLeft)
	}
	return err
}

// withdraw has the server give up what it has leased to the node, which offers nothing from then on.
func (f *follower) withdraw() error {
	if now := f.node.Status(ended()); now.Since.IsZero() {
		if now.Trouble != nil {
			return now.Trouble
		}
		return errors.New("there is no connection to the server yet")
	}
	if err := f.node.SetServices(nil); err != nil {
		return err
	}
	return persist(context.Background(), f.node.Leave)
}

// resume offers the services again.
func (f *follower) resume() {
	sites, err := f.sites.plan(f.running.Services) // the same: they run on
	if err == nil {
		err = f.node.SetServices(services(f.running.Services))
	}
	if err != nil {
		f.log.Error("the services are not offered again", "err", err)
		return
	}
	f.sites.follow(sites)
	f.log.Warn("the node has not left its server, and goes on")
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
