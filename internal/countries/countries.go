// Package countries tells the country of an address, by a file of the user's in the MaxMind DB format
// (https://maxmind.github.io/MaxMind-DB/), such as GeoLite2-Country or DB-IP Country Lite. The file is read again when
// it changes.
//
// It must not decide what a country means, or get a file from anywhere.
package countries

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"apquic/internal/hint"
	"apquic/internal/watchfile"
)

// maxFile is how large the file may be. It is kept in memory: one that is mapped there would end the program when
// somebody overwrites it.
const maxFile = 256 << 20 // bytes

// File is a database of countries. Its methods may be called from any goroutine.
type File struct {
	database *watchfile.Content[maxminddb.Reader]
	again    chan struct{} // asks Run to look at once
}

// Open reads a file as a whole, and checks it.
func Open(path string, log *slog.Logger) (*File, error) {
	database, err := watchfile.Open(watchfile.Source[maxminddb.Reader]{
		Name: "the file of countries", Files: watchfile.These(path), Log: log,
		Read: func(*maxminddb.Reader) (*maxminddb.Reader, error) { return read(path) },
	})
	if err != nil {
		return nil, err
	}
	return &File{database, make(chan struct{}, 1)}, nil
}

// Country returns the country of an address, an ISO 3166-1 alpha-2 code; empty: the file has none.
func (f *File) Country(address netip.Addr) (code string) {
	record := f.database.Last().Lookup(address.Unmap().WithZone(""))
	if record.DecodePath(&code, "country", "iso_code") == nil && code != "" {
		return code
	}
	if record.DecodePath(&code, "country_code") != nil { // as IPinfo writes it
		return ""
	}
	return code
}

// Reload has Run look at once whether the file has changed.
func (f *File) Reload() {
	select {
	case f.again <- struct{}{}:
	default:
	}
}

// Run reads the file again when it has changed, until ctx ends. Nobody who wants to know a country waits for that.
func (f *File) Run(ctx context.Context) {
	ticker := time.NewTicker(watchfile.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-f.again:
		}
		f.database.Look()
	}
}

func read(path string) (*maxminddb.Reader, error) {
	data, err := readBounded(path)
	if err != nil {
		if pathError, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathError.Err // the text has the path already
		}
		return nil, hint.Add(fmt.Errorf("the file of countries %s cannot be read: %w", path, err), "check the path after --countries")
	}
	database, err := maxminddb.OpenBytes(data)
	if err == nil {
		err = database.Verify()
	}
	if err != nil {
		return nil, hint.Add(fmt.Errorf("%s is not a database of countries: %w", path, err),
			"get a new copy in the MaxMind DB format (.mmdb, not compressed), such as GeoLite2-Country or DB-IP Country Lite")
	}
	return database, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return data, err
}
