package relay

import (
	"net"

	"apquic/quicproxy/internal/buffer"
)

// smallRead is the size of the buffer in which a connection awaits data that comes rarely, or a little at a
// time.
const smallRead = 2 << 10

// blockingReader reads from a connection that cannot say when it is readable: a waiting read holds its
// buffer. That is a small one, counted in the cost of a relay, unless the last read filled it; a large one
// counts as long as it is held.
type blockingReader struct {
	conn  net.Conn
	gate  readGate
	small []byte
	more  bool // the last read filled the small buffer
}

// next waits for data, as that of readyReader does.
func (r *blockingReader) next() (p []byte, err error) {
	room := r.gate.Keeps.Room(smallRead)
	for ; room == 0; room = r.gate.Keeps.Room(smallRead) {
		if r.gate.aborted.Load() || r.gate.reset.Load() {
			return nil, net.ErrClosed
		}
		r.gate.wait()
	}
	if r.more && room == smallRead {
		p, err = r.readLarge()
	} else {
		p, err = r.readSmall(room)
	}
	r.more = len(p) >= smallRead
	if len(p) > 0 {
		err = nil // it comes again
	}
	return p, err
}

func (r *blockingReader) readSmall(room int) ([]byte, error) {
	if r.small == nil {
		r.small = make([]byte, smallRead)
	}
	n, err := r.conn.Read(r.small[:room])
	if n == 0 {
		return nil, err
	}
	p := buffer.New(n)
	copy(p, r.small)
	r.gate.Keeps.Add(n)
	return p, err
}

func (r *blockingReader) readLarge() ([]byte, error) {
	p := r.gate.take()
	if p == nil {
		return nil, nil // somebody else was faster
	}
	n, err := r.conn.Read(p)
	if n == 0 {
		r.gate.giveBack(p)
		return nil, err
	}
	return p[:n], err
}
