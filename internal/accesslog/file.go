package accesslog

import (
	"bytes"
	"io"
	"sync"
	"time"

	"apquic/quicproxy/access"
)

// file is what lines are written to. Its goroutine alone uses to, text and torn.
type file struct {
	all    *Log
	path   string
	name   string // of the format
	format format
	to     io.WriteCloser
	queue  chan access.Relay
	reopen chan struct{} // has room for one
	done   chan struct{}

	text []byte // what is written next
	torn bool   // a part of a line ends what was written

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
	for {
		select {
		case <-f.reopen:
			f.openAgain()
		case r, more := <-f.queue:
			if !more {
				return
			}
			if err := f.write(r); err != nil {
				f.all.tell(err.Error())
			} else {
				f.all.tell("they came faster than they could be written")
			}
		}
	}
}

// write writes a line and those that wait behind it, at once, but not more than a batch: they may never end. It counts
// those that are lost.
func (f *file) write(r access.Relay) error {
	f.text = f.text[:0]
	if f.torn {
		f.text = append(f.text, '\n')
	}
	for more := true; more; {
		f.text = f.format(f.text, r)
		more = false
		if len(f.text) < batch {
			select {
			case r, more = <-f.queue:
			default:
			}
		}
	}
	n, err := f.to.Write(f.text)
	if err == nil {
		f.torn = false
		return nil
	}
	rest := f.text[n:]
	if n > 0 {
		part := n - 1 - bytes.LastIndexByte(f.text[:n], '\n')
		f.torn = part > 0 && !takeBack(f.to, int64(part))
	} else if f.torn {
		rest = rest[1:] // it ends no line of these
	}
	f.all.lost.Add(uint64(bytes.Count(rest, []byte("\n"))))
	return err
}

// takeBack shortens a file by the part of a line at its end. It reports whether that could be done.
func takeBack(of io.Writer, part int64) bool {
	file, ok := of.(interface {
		io.Seeker
		Truncate(size int64) error
	})
	if !ok {
		return false
	}
	size, err := file.Seek(0, io.SeekEnd)
	return err == nil && file.Truncate(size-part) == nil
}

// openAgain opens the file under its name; if that fails, lines go on to the one before.
func (f *file) openAgain() {
	to, err := f.openFile()
	if err != nil {
		f.all.log.Warn("the access log was not opened again", "err", err)
		return
	}
	f.to.Close()
	f.to, f.torn = to, false
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
