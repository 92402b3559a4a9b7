package accesslog

import (
	"bufio"
	"io"
	"sync"
	"time"

	"apquic/quicproxy/access"
)

// file is what lines are written to. Its goroutine alone uses to.
type file struct {
	all    *Log
	path   string
	name   string // of the format
	format format
	to     io.WriteCloser
	queue  chan access.Relay
	reopen chan struct{} // has room for one
	done   chan struct{}

	told    time.Time // when lost lines were told
	unknown uint64    // lines that were lost before that

	mu    sync.RWMutex // add reads
	ended bool
}

// add queues a line, or counts it as lost.
func (f *file) add(r access.Relay) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.ended {
		f.all.lost.Add(1)
		return
	}
	select {
	case f.queue <- r:
	default:
		f.all.lost.Add(1)
	}
}

// run writes lines until end.
func (f *file) run() {
	defer close(f.done)
	defer func() { f.to.Close() }()
	out := bufio.NewWriterSize(nil, 64<<10)
	var line []byte
	for {
		select {
		case <-f.reopen:
			f.openAgain()
		case r, more := <-f.queue:
			if !more {
				return
			}
			out.Reset(f.to)
			lines := uint64(0)
			for next := true; next; { // all that wait, in one write
				line = f.format(line[:0], r)
				out.Write(line) // Flush returns its error
				lines++
				select {
				case r, next = <-f.queue:
				default:
					next = false
				}
			}
			if err := out.Flush(); err != nil {
				f.all.lost.Add(lines)
				f.tell(err.Error())
			} else if f.all.Lost() > f.unknown {
				f.tell("they came faster than they could be written")
			}
		}
	}
}

// openAgain opens the file under its name; if that fails, lines go on to the one before.
func (f *file) openAgain() {
	to, err := f.openFile()
	if err != nil {
		f.all.log.Warn("the access log was not opened again", "err", err)
		return
	}
	f.to.Close()
	f.to = to
}

// tell logs that lines were lost, seldom.
func (f *file) tell(why string) {
	if now := time.Now(); now.Sub(f.told) >= tellEvery {
		lost := f.all.Lost()
		f.all.log.Warn("lines of the access log were lost", "lines", lost-f.unknown, "err", why)
		f.told, f.unknown = now, lost
	}
}

// end writes what waits, if that does not take long.
func (f *file) end() {
	if f == nil {
		return
	}
	f.mu.Lock()
	f.ended = true
	close(f.queue)
	f.mu.Unlock()
	select {
	case <-f.done:
	case <-time.After(endWithin): // it ends with its write
	}
}
