package accesslog

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"apquic/internal/hint"
	"apquic/quicproxy/access"
)

const (
	// queued is how many lines may wait to be written.
	queued = 4096
	// batch is after how many bytes no more lines are written at once.
	batch = 64 << 10
	// tellEvery is how often lost lines are told.
	tellEvery = time.Minute
	// endWithin is how long the end waits for lines that were not written yet.
	endWithin = 2 * time.Second
)

// Log is the access log of a program, which may be off.
type Log struct {
	// Outlet is whom the server tells.
	Outlet access.Outlet

	log    *slog.Logger
	stdout io.Writer // for the file -
	lost   atomic.Uint64

	mu  sync.Mutex
	now *file // nil: it is off

	telling sync.Mutex
	told    time.Time // when lost lines were told
	known   uint64    // how many were told
}

// New returns a Log that is off.
func New(log *slog.Logger, stdout io.Writer) *Log { return &Log{log: log, stdout: stdout} }

// Open is New and Prepare.
func Open(log *slog.Logger, stdout io.Writer, path, format string) (*Log, error) {
	l := New(log, stdout)
	use, err := l.Prepare(path, format)
	if err != nil {
		return nil, err
	}
	use()
	return l, nil
}

// Lost is how many lines were not written since the start.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Prepare opens a file for lines of a format, and returns what has them written there from then on. - is the standard
// output; an empty path: nowhere. Whoever does not call use has changed nothing but that the file exists.
func (l *Log) Prepare(path, format string) (use func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if path != "" && l.now != nil && l.now.path == path && l.now.name == format {
		return func() {}, nil
	}
	next, err := l.open(path, format)
	if err != nil {
		return nil, err
	}
	return func() { l.use(next) }, nil
}

// open returns a file that nothing is written to yet; nil for an empty path.
func (l *Log) open(path, format string) (*file, error) {
	if path == "" {
		return nil, nil
	}
	f := &file{all: l, path: path, name: format, format: formats[format], queue: make(chan access.Relay, queued), reopen: make(chan struct{}, 1), done: make(chan struct{})}
	if f.format == nil {
		return nil, fmt.Errorf("the access log has no format %q", format)
	}
	var err error
	f.to, err = f.openFile()
	return f, err
}

// use replaces the file.
func (l *Log) use(next *file) {
	l.mu.Lock()
	former := l.now
	l.now = next
	if next == nil {
		l.Outlet.Set(nil)
	} else {
		l.Outlet.Set(next.add)
		go next.run() // end waits for it
	}
	l.mu.Unlock()
	former.end()
}

// Reopen has the file opened again, after a program such as logrotate has moved it.
func (l *Log) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now != nil {
		select {
		case l.now.reopen <- struct{}{}:
		default:
		}
	}
}

// tell logs that lines were lost, if some were, but seldom.
func (l *Log) tell(why string) {
	l.telling.Lock()
	now, lost := time.Now(), l.Lost()-l.known
	if lost == 0 || now.Sub(l.told) < tellEvery {
		l.telling.Unlock()
		return
	}
	l.told, l.known = now, l.known+lost
	l.telling.Unlock()
	l.log.Warn("lines of the access log were lost", "lines", lost, "err", why)
}

// Close writes what waits, but does not wait longer than a moment for a disk that does not take it.
func (l *Log) Close() { l.use(nil) }

// openFile opens the file of f.
func (f *file) openFile() (io.WriteCloser, error) {
	if f.path == "-" {
		return keptOpen{f.all.stdout}, nil
	}
	if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() && info.Mode()&os.ModeCharDevice == 0 {
		return nil, fmt.Errorf("the access log %s is neither a file nor a device", hint.Readable(f.path))
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, hint.Add(fmt.Errorf("the access log: %w", err), "name a file that this program may write, in accessLog or --access-log")
	}
	return file, nil
}

// keptOpen is a file of others.
type keptOpen struct{ io.Writer }

func (keptOpen) Close() error { return nil }
