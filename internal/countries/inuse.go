package countries

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
)

// InUse tells the countries of addresses, if the operator has a file of them.
type InUse struct {
	Log  *slog.Logger
	path string
	file *File // nil: there is none

	running sync.WaitGroup
	stop    context.CancelFunc // ends what follows file
}

// Open opens a file, which is not used yet; empty: none. The one in use is not opened again.
func (k *InUse) Open(path string) (*File, error) {
	if path == "" || path == k.path {
		return k.file, nil
	}
	return Open(path, k.Log)
}

// Use makes file the one in use, which is read again when it changes, and returns what tells the country of an
// address; nil: nothing does.
func (k *InUse) Use(path string, file *File) func(netip.Addr) string {
	switch {
	case path != k.path:
		k.End()
		k.path, k.file = path, file
		if path != "" {
			ctx, stop := context.WithCancel(context.Background())
			k.stop = stop
			k.running.Go(func() { file.Run(ctx) })
		}
	case path != "":
		file.Reload()
	}
	return In(path, file)
}

// End ends what Use began.
func (k *InUse) End() {
	if k.stop != nil {
		k.stop()
	}
	k.running.Wait()
}

// In returns what tells the country of an address; nil: nothing does.
func In(path string, file *File) func(netip.Addr) string {
	if path == "" {
		return nil
	}
	return file.Country
}
