package main

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"

	"apquic/internal/countries"
)

// knownCountries tells the countries of addresses, if the operator has a file of them.
type knownCountries struct {
	log  *slog.Logger
	path string
	file *countries.File // nil: there is none

	running sync.WaitGroup
	stop    context.CancelFunc // ends what follows file
}

// open opens a file, which is not used yet; empty: none. The one in use is not opened again.
func (k *knownCountries) open(path string) (*countries.File, error) {
	if path == "" || path == k.path {
		return k.file, nil
	}
	return countries.Open(path, k.log)
}

// use makes file the one in use, which is read again when it changes, and returns what tells the country of an
// address; nil: nothing does.
func (k *knownCountries) use(path string, file *countries.File) func(netip.Addr) string {
	switch {
	case path != k.path:
		k.end()
		k.path, k.file = path, file
		if path != "" {
			ctx, stop := context.WithCancel(context.Background())
			k.stop = stop
			k.running.Go(func() { file.Run(ctx) })
		}
	case path != "":
		file.Reload()
	}
	return countryIn(path, file)
}

// end ends what use began.
func (k *knownCountries) end() {
	if k.stop != nil {
		k.stop()
	}
	k.running.Wait()
}

// countryIn returns what tells the country of an address; nil: nothing does.
func countryIn(path string, file *countries.File) func(netip.Addr) string {
	if path == "" {
		return nil
	}
	return file.Country
}
