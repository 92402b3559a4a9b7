package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/buffer"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/memory"
	"apquic/quicproxy/internal/pace"
)

// Relay joins a Stream and a TCP (or unix) connection: bytes untouched, FIN for FIN in each direction on its
// own, RST for reset (docs/protocol.md section 6). Both sides of the tunnel use the same type.
type Relay struct {
	// Keeps is what is kept until the other side has it, Waits what waits for the TCP connection. Their owner
	// closes them.
	Keeps, Waits *memory.Holding

	tcp    net.Conn
	reader *readyReader
	place  *clients.Place // of the public connection; may be nil
	wait   func()         // for memory
	begun  time.Time
	stream bytestream.Stream // set before anything else happens
	came   int               // bytes at once from the stream lately; copyToTCP is its only user

	// The parts of the service's bytes per second, each way; nil: no limit. What was read by First is due.
	in, out *pace.Share
	due     int

	toStream, toTCP atomic.Uint64
	aborted         atomic.Bool  // we reset it
	cause           atomic.Int32 // of its reset, an index of causes; 0: there was none, or only the other side's
	reset           atomic.Bool  // the other side did
	writeFailed     atomic.Bool  // the TCP connection takes no more
	writing         atomic.Int64 // since when, after begun, a write to it waits; 0: none does
	first           atomic.Int64 // after begun, something came from the stream; 0: nothing has
}

// New makes a relay of a connection; Carry gives it a stream. account pays for the memory held; wait returns
// when it is worth asking the account for room again; place may be nil.
func New(tcp net.Conn, account *memory.Account, place *clients.Place, wait func()) *Relay {
	r := &Relay{tcp: tcp, place: place, wait: wait, begun: time.Now()}
	r.Keeps, r.Waits = account.Open(r), account.Open(r)
	r.reader = newReadyReader(tcp, readGate{r})
	return r
}

// Pace limits the bytes per second that come from the TCP connection, and that go there. It comes before anything
// else, and either may be nil.
func (r *Relay) Pace(in, out *pace.Share) { r.in, r.out = in, out }

// readGate lets a relay read from its TCP connection while there is memory for it.
type readGate struct{ *Relay }

// take returns memory to read into, which counts as kept from now on; nil: the relay has to wait. While there
// is little, many may read a little.
func (g readGate) take() []byte {
	chunk := g.in.Chunk()
	n := g.Keeps.Take(min(buffer.Size, chunk), min(buffer.MaxChunk, chunk))
	if n == 0 {
		return nil
	}
	return buffer.New(n)
}

// giveBack is for what take returned and nobody needs.
func (g readGate) giveBack(p []byte) {
	buffer.Free(p)
	g.Keeps.Keep(0, cap(p))
}

// First appends to read what else waits in the connection.
func (r *Relay) First(read []byte) []byte {
	if p := r.reader.poll(); len(p) > 0 {
		read = append(read[:len(read):len(read)], p...)
		readGate{r}.giveBack(p)
	}
	r.toStream.Add(uint64(len(read)))
	r.due = len(read)
	return read
}

// Carry gives the relay its stream.
func (r *Relay) Carry(s bytestream.Stream) {
	r.stream = s
	s.Count(r.Keeps.Keep, r.Waits.Add)
}

// Stream returns what carries the relay.
func (r *Relay) Stream() bytestream.Stream { return r.stream }

// Run copies in both directions until both have ended, and leaves nothing open, except the connection of a
// stream that was taken back.
func (r *Relay) Run() {
	r.stream.Watch(r.sendingEnded)
	var other sync.WaitGroup
	other.Go(r.copyToTCP)
	r.copyToStream()
	other.Wait()
	switch _, again := r.stream.TakenBack(); {
	case again:
		r.tcp.SetDeadline(time.Time{})
	case r.reset.Load() || r.aborted.Load():
		ResetTCP(r.tcp)
		r.place.Leave()
	default:
		r.tcp.Close()
		r.place.Leave()
	}
	r.stream.Finish()
}

// sendingEnded is called once, when the other side reads no more.
func (r *Relay) sendingEnded(reset bool) {
	if reset {
		// The other end of the relay is gone. What it sent before is on its way; a reader that does not
		// take it in time does not get it.
		r.reset.Store(true)
		r.tcp.SetWriteDeadline(time.Now().Add(bytestream.ResetLinger))
		r.out.Release()
	}
	r.tcp.SetReadDeadline(time.Unix(1, 0))
	r.in.Release()
}

func (r *Relay) copyToStream() {
	r.in.Moved(r.due)
	for {
		p, err := r.reader.next()
		if n := len(p); n > 0 {
			err = r.stream.WriteBuffer(p)
			r.toStream.Add(uint64(n))
			r.place.Active()
			r.in.Moved(n)
		}
		switch {
		case err == nil:
			continue
		case r.writeFailed.Load():
			r.end() // all that the connection still had to say was read
		case err == io.EOF:
			r.stream.CloseWrite()
		case isStop(err):
			// What the other side sends goes on, and says how the relay ends.
		default:
			r.end()
		}
		return
	}
}

// isStop reports whether reading from TCP or writing to the stream ended because the other side takes no
// more.
func isStop(err error) bool {
	_, reset := errors.AsType[*bytestream.ResetError](err)
	return reset || err == bytestream.ErrStopped || err == bytestream.ErrTakenBack || errors.Is(err, os.ErrDeadlineExceeded)
}

// end resets both sides. What was read from the TCP connection before is still delivered, as TCP does.
func (r *Relay) end() {
	if !r.aborted.Swap(true) {
		r.cause.CompareAndSwap(0, byTCP)
		r.stream.Reset(framing.ErrorRelayReset)
		ResetTCP(r.tcp)
		r.goOn()
	}
}

// goOn ends the waits of both directions for their turn.
func (r *Relay) goOn() {
	r.in.Release()
	r.out.Release()
}

// Abort resets both sides at once.
func (r *Relay) Abort(code framing.ErrorCode) {
	if r.aborted.Swap(true) {
		return
	}
	r.cause.CompareAndSwap(0, causeOf(code))
	r.goOn()
	r.stream.Discard(code)
	if _, again := r.stream.TakenBack(); !again {
		ResetTCP(r.tcp)
	}
}

func (r *Relay) copyToTCP() {
	for {
		n, err := r.copyOnceToTCP()
		switch {
		case err == nil:
			r.out.Moved(n)
			continue
		case err == io.EOF:
			r.reader.finSent.Store(true)
			closeWrite(r.tcp)
		case isTCPWriteError(err) && !r.reset.Load() && !r.aborted.Load():
			// A service may answer early and close: its answer still waits in the socket, and
			// copyToStream ends the relay when it has read that.
			r.writeFailed.Store(true)
			r.stream.CancelRead()
			r.tcp.SetReadDeadline(time.Now().Add(bytestream.ResetLinger))
			r.in.Release()
		default:
			_, reset := errors.AsType[*bytestream.ResetError](err)
			if reset && !r.aborted.Load() {
				r.cause.CompareAndSwap(0, byOther(r.toTCP.Load() > 0))
			}
			r.Abort(framing.ErrorRelayReset)
		}
		return
	}
}

// copyOnceToTCP waits for data without holding a buffer, then moves as much as fits into one: a small one,
// unless more came lately. It returns how much that is.
func (r *Relay) copyOnceToTCP() (n int, err error) {
	r.stream.Wait()
	size := buffer.Small
	if r.came >= buffer.Small {
		size = buffer.Size
	}
	p := buffer.New(size)
	defer buffer.Free(p)
	n, err = r.stream.Read(p[:min(size, r.out.Chunk())])
	if err != nil {
		return 0, err
	}
	r.came = max(n, r.came/2)
	r.writing.Store(int64(time.Since(r.begun)) + 1)
	_, err = r.tcp.Write(p[:n])
	r.writing.Store(0)
	if err != nil {
		return 0, &tcpWriteError{err}
	}
	if r.toTCP.Add(uint64(n)) == uint64(n) {
		r.first.Store(int64(time.Since(r.begun)) + 1)
	}
	r.place.Active()
	return n, nil
}

// tcpWriteError tells a failed write to the TCP connection from a failed read of the stream.
type tcpWriteError struct{ error }

func isTCPWriteError(err error) bool {
	_, ok := err.(*tcpWriteError)
	return ok
}

// Aborted reports whether this side has reset the relay.
func (r *Relay) Aborted() bool { return r.aborted.Load() }

// Begun is when the relay began.
func (r *Relay) Begun() time.Time { return r.begun }

// FirstByte is how long the TCP connection waited for what the stream says first; 0: it has said nothing.
func (r *Relay) FirstByte() time.Duration { return time.Duration(r.first.Load()) }

// Writes returns how long a write to the TCP connection has been waiting; 0: none is.
func (r *Relay) Writes() time.Duration {
	begun := r.writing.Load()
	if begun == 0 {
		return 0
	}
	return time.Since(r.begun) + 1 - time.Duration(begun)
}

// ToStream and ToTCP count the bytes that went there.
func (r *Relay) ToStream() uint64 { return r.toStream.Load() }
func (r *Relay) ToTCP() uint64    { return r.toTCP.Load() }

// ResetTCP closes with RST where the kind of connection has one.
func ResetTCP(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(seconds int) error }); ok {
		l.SetLinger(0)
	}
	c.Close()
}

// closeWrite sends FIN. Connections that cannot (a listener's of the caller may not) are closed whole
// when the relay ends.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}
