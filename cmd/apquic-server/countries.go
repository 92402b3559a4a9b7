package main

import (
	"context"
	"log/slog"
	"sync"

	"apquic/internal/countries"
	"apquic/quicproxy/server"
)

// knownCountries tells the countries of addresses, if the operator has a file of them.
type knownCountries struct {
	file *countries.File // nil: there is none
	log  *slog.Logger
}

func openCountries(path string, log *slog.Logger) (*knownCountries, error) {
	known := &knownCountries{log: log}
	if path == "" {
		return known, nil
	}
	var err error
	known.file, err = countries.Open(path, log)
	return known, err
}

// follow tells a server the countries, and reads the file again when it changes until stop is called.
func (k *knownCountries) follow(c *server.Config) (stop func()) {
	if k.file == nil {
		return func() {}
	}
	c.Country = k.file.Country
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { k.file.Run(ctx) })
	return func() { cancel(); following.Wait() }
}

// reload is for SIGHUP.
func (k *knownCountries) reload() {
	if k.file == nil {
		k.log.Info("SIGHUP: there is nothing to reload; authorized_nodes is read whenever it changes")
		return
	}
	k.log.Info("SIGHUP: the file of countries is read again if it has changed; authorized_nodes is read whenever it changes")
	k.file.Reload()
}
