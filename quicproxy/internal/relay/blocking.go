package relay

import "net"

// smallRead is the buffer with which a connection waits that has nothing to read, or little at a time.
const smallRead = 2 << 10

// blockingReader reads from a connection whose readiness cannot be waited for: a waiting read holds its buffer. So that is
// a small one, which belongs to the cost of a relay as its goroutines do, unless the read before filled it; a large one
// counts as long as it is held.
type blockingReader struct {
	conn  net.Conn
	gate  readGate
	small []byte
	more  bool // the last read filled the small buffer
}

// next waits for data. With n > 0 the buffer belongs to the caller, as that of readyReader does.
func (r *blockingReader) next() (buffer *Buffer, n int, err error) {
	room := r.gate.room()
	for ; room == 0; room = r.gate.room() {
		if r.gate.aborted.Load() || r.gate.reset.Load() {
			return nil, 0, net.ErrClosed
		}
		r.gate.wait()
	}
	if r.more && room > smallRead {
		buffer, n, err = r.readLarge(room)
	} else {
		buffer, n, err = r.readSmall(room)
	}
	r.more = n >= smallRead
	if n > 0 {
		err = nil // it comes again
	}
	return buffer, n, err
}

func (r *blockingReader) readSmall(room int) (buffer *Buffer, n int, err error) {
	if r.small == nil {
		r.small = make([]byte, smallRead)
	}
	n, err = r.conn.Read(r.small[:min(room, smallRead)])
	if n > 0 {
		buffer = Buffers.Get().(*Buffer)
		copy(buffer[:], r.small[:n])
	}
	return buffer, n, err
}

func (r *blockingReader) readLarge(room int) (buffer *Buffer, n int, err error) {
	r.gate.Keeps.Add(Size)
	defer r.gate.Keeps.Add(-Size)
	buffer = Buffers.Get().(*Buffer)
	n, err = r.conn.Read(buffer[:room])
	if n == 0 {
		Buffers.Put(buffer)
		buffer = nil
	}
	return buffer, n, err
}
