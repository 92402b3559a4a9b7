// Package watchfile keeps what was read from files, and reads it again when somebody has replaced them while the program
// runs: certificates, authorities, databases.
//
// It must not know what is in them, or give up what is in use because its successor cannot be read.
package watchfile

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"apquic/internal/hint"
)

// Every is how often the files are looked at, at most, unless somebody calls Look.
const Every = 10 * time.Second

// Source says what to read; all fields are required.
type Source[T any] struct {
	// Name begins a line of the log, such as "the file of countries".
	Name string
	// Files are those that matter; one that is missing is read when it is there.
	Files func() ([]string, error)
	// Read returns what is in the files, which is in use from then on, also with an error; nil: the last content stays. The
	// first time there is none, and it is nil.
	Read func(last *T) (*T, error)
	Log  *slog.Logger
}

// These makes Source.Files of fixed paths.
func These(paths ...string) func() ([]string, error) {
	return func() ([]string, error) { return paths, nil }
}

// Content is what was read last. Its methods may be called from any goroutine.
type Content[T any] struct {
	source Source[T]
	last   atomic.Pointer[T]

	mu     sync.Mutex // while the files are looked at
	looked time.Time
	state  string // of the files when they were read
	failed error  // why they are not in use; nil: they are
}

// Open reads files for the first time.
func Open[T any](source Source[T]) (*Content[T], error) {
	c := &Content[T]{source: source}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.readLocked()
	return c, err
}

// Last returns the content without looking at the files; nil: Open has failed.
func (c *Content[T]) Last() *T { return c.last.Load() }

// Get returns the content, and looks at the files before if that was not done lately. It waits for nobody else who does.
func (c *Content[T]) Get() *T {
	if c.mu.TryLock() {
		if time.Since(c.looked) >= Every {
			c.lookLocked()
		}
		c.mu.Unlock()
	}
	return c.Last()
}

// Look reads the files if they have changed, or could not be read. It says so in the log, of an error once per change.
func (c *Content[T]) Look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookLocked()
}

func (c *Content[T]) lookLocked() {
	before, failed := c.state, c.failed
	read, err := c.readLocked()
	switch {
	case !read:
	case err == nil:
		c.source.Log.Info(c.source.Name + " was read again")
	case failed == nil, c.state != before, err.Error() != failed.Error():
		log := c.source.Log
		if h := hint.Of(err); h != "" {
			log = log.With("hint", h)
		}
		log.Warn(c.source.Name+" has changed and cannot be used, so the last one is", "err", err)
	}
}

// readLocked reads the files if that is necessary.
func (c *Content[T]) readLocked() (read bool, err error) {
	c.looked = time.Now()
	files, err := c.source.Files()
	state := stateOf(files)
	if err == nil && c.failed == nil && state == c.state && c.Last() != nil {
		return false, nil
	}
	if err == nil {
		var content *T
		if content, err = c.source.Read(c.Last()); content != nil {
			c.last.Store(content)
		}
	}
	c.state, c.failed = state, err
	return true, err
}

// stateOf tells one content of files from another.
func stateOf(files []string) string {
	var b strings.Builder
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			fmt.Fprintf(&b, "%s is missing\n", file)
			continue
		}
		fmt.Fprintf(&b, "%s %d %d\n", file, info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}
