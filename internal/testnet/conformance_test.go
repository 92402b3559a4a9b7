package testnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/testnet"
)

// TestTCPConformance plays the same scenarios on the TCP in memory and on the kernel's loopback. Both must
// end as the table says.
func TestTCPConformance(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, swap := range []bool{false, true} {
				t.Run(fmt.Sprintf("memory/swap=%v", swap), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						h := testnet.New(t).Host("192.0.2.1")
						s.run(t, &play{t: t, listen: h.ListenTCP, dial: h.DialTCP, settle: synctest.Wait}, swap)
					})
				})
				t.Run(fmt.Sprintf("kernel/swap=%v", swap), func(t *testing.T) {
					t.Parallel()
					if runtime.GOOS != "linux" {
						t.Skip("the table is what Linux does")
					}
					listen := func(address string) (net.Listener, error) { return net.Listen("tcp", address) }
					dial := func(ctx context.Context, address string) (net.Conn, error) {
						return new(net.Dialer).DialContext(ctx, "tcp", address)
					}
					s.run(t, &play{t: t, listen: listen, dial: dial, settle: runtime.Gosched}, swap)
				})
			}
		})
	}
}

type scenario struct {
	name string
	play func(p *play)
	want []string
}

func (s scenario) run(t *testing.T, p *play, swap bool) {
	p.open()
	if swap {
		p.a, p.b = p.b, p.a
	}
	s.play(p)
	if !slices.Equal(p.log, s.want) {
		t.Errorf("got  %q\nwant %q", p.log, s.want)
	}
}

var scenarios = []scenario{
	{"half-close", func(p *play) {
		p.write(p.a, "ask")
		p.closeWrite(p.a)
		p.read(p.b, 3)
		p.end(p.b)
		p.write(p.b, "late")
		p.read(p.a, 4)
		p.write(p.a, "x")
		p.closeWrite(p.a)
		p.closeWrite(p.b)
		p.end(p.a)
		p.end(p.a)
		p.closeWrite(p.a)
		p.closeRead(p.a)
	}, []string{"write ok", "closeWrite ok", "read ask", "end EOF", "write ok", "read late", "write EPIPE", "closeWrite ok",
		"closeWrite ok", "end EOF", "end EOF", "closeWrite ENOTCONN", "closeRead ENOTCONN"}},
	{"close", func(p *play) {
		p.write(p.a, "bye")
		p.close(p.a)
		p.read(p.b, 3)
		p.end(p.b)
		p.writeUntilError(p.b)
		p.write(p.b, "x")
		p.end(p.b)
		p.close(p.b)
	}, []string{"write ok", "close ok", "read bye", "end EOF", "writeUntilError EPIPE", "write EPIPE", "end EOF", "close ok"}},
	{"close after the peer's FIN", func(p *play) {
		p.closeWrite(p.b)
		p.end(p.a)
		p.close(p.a)
		p.end(p.b)
		p.write(p.b, "x")
	}, []string{"closeWrite ok", "end EOF", "close ok", "end EOF", "write EPIPE"}},
	{"reset, read first", func(p *play) {
		p.reset(p.a)
		p.end(p.b)
		p.end(p.b)
		p.write(p.b, "x")
		p.closeWrite(p.b)
		p.close(p.b)
	}, []string{"reset ok", "end ECONNRESET", "end EOF", "write EPIPE", "closeWrite ENOTCONN", "close ok"}},
	{"reset, write first", func(p *play) {
		p.reset(p.a)
		p.writeUntilError(p.b)
		p.write(p.b, "x")
		p.end(p.b)
	}, []string{"reset ok", "writeUntilError ECONNRESET", "write EPIPE", "end EOF"}},
	{"reset behind data", func(p *play) {
		p.write(p.a, "data")
		p.reset(p.a)
		p.read(p.b, 4)
		p.end(p.b)
	}, []string{"write ok", "reset ok", "read data", "end ECONNRESET"}},
	{"reset after own FIN", func(p *play) {
		p.closeWrite(p.a)
		p.end(p.b)
		p.reset(p.a)
		p.writeUntilError(p.b)
		p.end(p.b)
	}, []string{"closeWrite ok", "end EOF", "reset ok", "writeUntilError EPIPE", "end EOF"}},
	{"reset after the peer's FIN", func(p *play) {
		p.closeWrite(p.b)
		p.end(p.a)
		p.reset(p.a)
		p.end(p.b)
		p.end(p.b)
	}, []string{"closeWrite ok", "end EOF", "reset ok", "end ECONNRESET", "end EOF"}},
	{"reset of both FINs' connection", func(p *play) {
		p.closeWrite(p.a)
		p.end(p.b)
		p.closeWrite(p.b)
		p.end(p.a)
		p.reset(p.a)
		p.end(p.b)
	}, []string{"closeWrite ok", "end EOF", "closeWrite ok", "end EOF", "reset ok", "end EOF"}},
	{"empty write after a reset", func(p *play) {
		p.reset(p.a)
		p.end(p.b)
		p.write(p.b, "")
		p.readNothing(p.b)
	}, []string{"reset ok", "end ECONNRESET", "write EPIPE", "readNothing ok"}},
	{"close with unread data", func(p *play) {
		p.write(p.b, "unread")
		p.read(p.a, 1)
		p.close(p.a)
		p.end(p.b)
		p.end(p.b)
		p.write(p.b, "x")
	}, []string{"write ok", "read u", "close ok", "end ECONNRESET", "end EOF", "write EPIPE"}},
	{"close with unread data and FIN", func(p *play) {
		p.write(p.b, "unread")
		p.closeWrite(p.b)
		p.read(p.a, 1)
		p.close(p.a)
		p.end(p.b)
	}, []string{"write ok", "closeWrite ok", "read u", "close ok", "end ECONNRESET"}},
	{"close with unread data after both FINs", func(p *play) {
		p.closeWrite(p.a)
		p.end(p.b)
		p.write(p.b, "unread")
		p.closeWrite(p.b)
		p.read(p.a, 1)
		p.close(p.a)
		p.end(p.b)
	}, []string{"closeWrite ok", "end EOF", "write ok", "closeWrite ok", "read u", "close ok", "end EOF"}},
	{"closed for reading", func(p *play) {
		p.closeRead(p.a)
		p.end(p.a)
		p.write(p.b, "x")
		p.readEventually(p.a)
		p.end(p.a)
		p.write(p.a, "y")
		p.read(p.b, 1)
		p.closeWrite(p.b)
		p.write(p.a, "z")
		p.read(p.b, 1)
	}, []string{"closeRead ok", "end EOF", "write ok", "readEventually ok", "end EOF", "write ok", "read y", "closeWrite ok",
		"write ok", "read z"}},
	{"data for a socket closed both ways", func(p *play) {
		p.closeRead(p.a)
		p.closeWrite(p.a)
		p.end(p.b)
		p.writeUntilError(p.b)
		p.write(p.b, "x")
		p.end(p.a)
		p.end(p.a)
	}, []string{"closeRead ok", "closeWrite ok", "end EOF", "writeUntilError EPIPE", "write EPIPE", "end ECONNRESET", "end EOF"}},
	{"own close", func(p *play) {
		p.close(p.a)
		p.end(p.a)
		p.write(p.a, "x")
		p.write(p.a, "")
		p.readNothing(p.a)
		p.closeWrite(p.a)
		p.closeRead(p.a)
		p.note("deadline", p.a.SetDeadline(time.Now()))
		p.note("linger", p.a.SetLinger(0))
		p.close(p.a)
	}, []string{"close ok", "end closed", "write closed", "write closed", "readNothing closed", "closeWrite closed",
		"closeRead closed", "deadline closed", "linger closed", "close closed"}},
	{"deadlines", func(p *play) {
		p.note("deadline", p.a.SetReadDeadline(time.Now().Add(time.Millisecond)))
		p.end(p.a)
		p.write(p.b, "data")
		p.end(p.a) // also with data at hand
		p.note("deadline", p.a.SetDeadline(time.Time{}))
		p.read(p.a, 4)
		p.note("deadline", p.a.SetDeadline(time.Unix(1, 0)))
		p.end(p.a)
		p.write(p.a, "x")
		p.readNothing(p.a)
		p.note("deadline", p.a.SetReadDeadline(time.Time{}))
		p.write(p.a, "x")
		p.note("deadline", p.a.SetWriteDeadline(time.Now().Add(time.Hour)))
		p.write(p.a, "x")
	}, []string{"deadline ok", "end timeout", "write ok", "end timeout", "deadline ok", "read data", "deadline ok", "end timeout",
		"write timeout", "readNothing ok", "deadline ok", "write timeout", "deadline ok", "write ok"}},
	{"blocked writer, reset", func(p *play) {
		p.fill(p.a)
		p.blocked("writeAll", p.writeAll, func() { p.reset(p.b) })
	}, []string{"fill timeout", "reset ok", "writeAll ECONNRESET"}},
	{"blocked writer, peer closes", func(p *play) {
		p.fill(p.a)
		p.blocked("writeAll", p.writeAll, func() { p.close(p.b) })
	}, []string{"fill timeout", "close ok", "writeAll ECONNRESET"}},
	{"blocked writer, own close", func(p *play) {
		p.fill(p.a)
		p.blocked("writeAll", p.writeAll, func() { p.close(p.a) })
	}, []string{"fill timeout", "close ok", "writeAll closed"}},
	{"blocked writer, own FIN", func(p *play) {
		p.fill(p.a)
		p.blocked("writeAll", p.writeAll, func() { p.closeWrite(p.a) })
	}, []string{"fill timeout", "closeWrite ok", "writeAll EPIPE"}},
	{"blocked writer, deadline", func(p *play) {
		p.fill(p.a)
		p.blocked("writeAll", p.writeAll, func() { p.note("deadline", p.a.SetWriteDeadline(time.Unix(1, 0))) })
	}, []string{"fill timeout", "deadline ok", "writeAll timeout"}},
	{"blocked reader, reset", func(p *play) {
		p.blocked("readOne", p.readOne, func() { p.reset(p.b) })
	}, []string{"reset ok", "readOne ECONNRESET"}},
	{"blocked reader and writer, reset", func(p *play) {
		p.fill(p.a)
		p.blockedBoth(func() { p.reset(p.b) })
	}, []string{"fill timeout", "reset ok", "one reset"}},
	{"blocked reader, FIN", func(p *play) {
		p.blocked("readOne", p.readOne, func() { p.closeWrite(p.b) })
	}, []string{"closeWrite ok", "readOne EOF"}},
	{"blocked reader, data", func(p *play) {
		p.blocked("readOne", p.readOne, func() { p.write(p.b, "x") })
	}, []string{"write ok", "readOne ok"}},
	{"blocked reader, own close", func(p *play) {
		p.blocked("readOne", p.readOne, func() { p.close(p.a) })
	}, []string{"close ok", "readOne closed"}},
	{"blocked reader, closed for reading", func(p *play) {
		p.blocked("readOne", p.readOne, func() { p.closeRead(p.a) })
	}, []string{"closeRead ok", "readOne EOF"}},
	{"blocked reader, deadline", func(p *play) {
		p.blocked("readOne", p.readOne, func() { p.note("deadline", p.a.SetDeadline(time.Now().Add(time.Millisecond))) })
	}, []string{"deadline ok", "readOne timeout"}},
	{"listener closed", func(p *play) {
		address := p.listener.Addr().String()
		_, err := p.listen(address)
		p.note("listen", err)
		p.dialed()
		queued := p.dialed()
		p.accepted()
		p.note("Listener.Close", p.listener.Close())
		p.end(queued)
		_, err = p.listener.Accept()
		p.note("accept", err)
		_, err = p.dial(p.t.Context(), address)
		p.note("dial", err)
		p.note("Listener.Close", p.listener.Close())
		p.write(p.a, "x") // connections outlive their listener
		p.read(p.b, 1)
	}, []string{"listen EADDRINUSE", "dial ok", "dial ok", "accept ok", "Listener.Close ok", "end ECONNRESET", "accept closed",
		"dial ECONNREFUSED", "Listener.Close closed", "write ok", "read x"}},
	{"blocked accept", func(p *play) {
		accept := func() error {
			_, err := p.listener.Accept()
			return err
		}
		p.blocked("accept", accept, func() { p.note("Listener.Close", p.listener.Close()) })
	}, []string{"Listener.Close ok", "accept closed"}},
}

type tcp interface {
	net.Conn
	CloseWrite() error
	CloseRead() error
	SetLinger(seconds int) error
}

// play is one performance of a scenario between the ends a and b of a connection. It notes what happens.
type play struct {
	t        *testing.T
	listen   func(address string) (net.Listener, error)
	dial     func(ctx context.Context, address string) (net.Conn, error)
	settle   func() // lets other goroutines run until they block, where that can be known
	listener net.Listener
	a, b     tcp
	log      []string
}

func (p *play) open() {
	l, err := p.listen("127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { l.Close() })
	p.listener = l
	p.a, p.b = p.dialed(), p.accepted()
	p.log = nil
	if p.a.RemoteAddr().String() != l.Addr().String() || p.b.RemoteAddr().String() != p.a.LocalAddr().String() ||
		p.b.LocalAddr().String() != l.Addr().String() {
		p.t.Error("addresses of the two ends do not agree")
	}
}

func (p *play) dialed() tcp {
	return p.connected("dial", func() (net.Conn, error) { return p.dial(p.t.Context(), p.listener.Addr().String()) })
}

func (p *play) accepted() tcp { return p.connected("accept", p.listener.Accept) }

func (p *play) connected(what string, connect func() (net.Conn, error)) tcp {
	c, err := connect()
	if err != nil {
		p.t.Fatal(err)
	}
	p.note(what, nil)
	p.t.Cleanup(func() { c.Close() })
	return c.(tcp)
}

func (p *play) note(what string, err error) { p.log = append(p.log, what+" "+p.outcome(err)) }

// outcome names an error, and checks that it has the form that package net promises.
func (p *play) outcome(err error) string {
	if err == nil {
		return "ok"
	}
	if err == io.EOF {
		return "EOF"
	}
	if _, ok := err.(*net.OpError); !ok {
		p.t.Errorf("%T (%v) is not a *net.OpError", err, err)
	}
	if timeout := errors.Is(err, os.ErrDeadlineExceeded); timeout != err.(net.Error).Timeout() {
		p.t.Errorf("Timeout() of %v is %v", err, !timeout)
	}
	for known, name := range map[error]string{
		net.ErrClosed: "closed", os.ErrDeadlineExceeded: "timeout", syscall.ECONNRESET: "ECONNRESET", syscall.EPIPE: "EPIPE",
		syscall.ENOTCONN: "ENOTCONN", syscall.ECONNREFUSED: "ECONNREFUSED", syscall.EADDRINUSE: "EADDRINUSE",
	} {
		if errors.Is(err, known) {
			return name
		}
	}
	return err.Error()
}

func (p *play) write(c tcp, text string) {
	_, err := io.WriteString(c, text)
	p.note("write", err)
}

func (p *play) read(c tcp, n int) {
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		p.note("read", err)
		return
	}
	p.log = append(p.log, "read "+string(b))
}

// end reads where no data is expected.
func (p *play) end(c tcp) {
	n, err := c.Read(make([]byte, 1))
	if n > 0 {
		p.t.Error("read found data")
	}
	p.note("end", err)
}

func (p *play) readNothing(c tcp) {
	_, err := c.Read(nil)
	p.note("readNothing", err)
}

// readEventually reads a byte that a socket closed for reading cannot wait for.
func (p *play) readEventually(c tcp) {
	for start := time.Now(); time.Since(start) < 10*time.Second; p.settle() {
		if n, err := c.Read(make([]byte, 1)); n > 0 || err != io.EOF {
			p.note("readEventually", err)
			return
		}
	}
	p.t.Error("no data came")
}

// writeUntilError writes until the peer's answer to earlier writes, or its reset, has arrived.
func (p *play) writeUntilError(c tcp) {
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	for {
		if _, err := io.WriteString(c, "x"); err != nil {
			p.note("writeUntilError", err)
			return
		}
	}
}

// fill writes until the connection takes no more for a while.
func (p *play) fill(c tcp) {
	big := make([]byte, 4<<20)
	for total := 0; ; {
		c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := c.Write(big)
		total += n
		if (n == len(big)) != (err == nil) {
			p.t.Errorf("wrote %d bytes, error %v", n, err)
		}
		if err != nil && n == 0 && total > 0 {
			p.note("fill", err)
			break
		}
	}
	c.SetWriteDeadline(time.Time{})
}

// writeAll writes to a until that fails.
func (p *play) writeAll() (err error) {
	for err == nil {
		_, err = p.a.Write(make([]byte, 4<<20))
	}
	return err
}

// readOne reads a byte from a.
func (p *play) readOne() error {
	_, err := p.a.Read(make([]byte, 1))
	return err
}

// blocked starts a call, does what ends it, and notes how it ended.
func (p *play) blocked(name string, call func() error, then func()) {
	ended := make(chan error, 1)
	go func() { ended <- call() }()
	p.settle()
	then()
	p.note(name, <-ended)
}

// blockedBoth is blocked with a read and a write, one of which is reset: the other one sees only the end.
func (p *play) blockedBoth(then func()) {
	read, written := make(chan error, 1), make(chan error, 1)
	go func() { read <- p.readOne() }()
	go func() { written <- p.writeAll() }()
	p.settle()
	then()
	switch outcomes := p.outcome(<-read) + " " + p.outcome(<-written); outcomes {
	case "ECONNRESET EPIPE", "EOF ECONNRESET":
		p.log = append(p.log, "one reset")
	default:
		p.log = append(p.log, outcomes)
	}
}

func (p *play) close(c tcp)      { p.note("close", c.Close()) }
func (p *play) closeWrite(c tcp) { p.note("closeWrite", c.CloseWrite()) }
func (p *play) closeRead(c tcp)  { p.note("closeRead", c.CloseRead()) }

func (p *play) reset(c tcp) {
	c.SetLinger(0)
	p.note("reset", c.Close())
}
