package quicproxy_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// relayCase is something that TCP does and a relay must do too.
type relayCase struct {
	name    string
	service func(net.Conn) error // nil: nobody listens
	visitor func(net.Conn) error
}

func relayCases() []relayCase {
	return []relayCase{
		{"echo", func(c net.Conn) error { echo(c); return nil }, func(c net.Conn) error {
			return errors.Join(exchangeErr(c, "hello\n"), c.Close())
		}},
		{"service speaks first", func(c net.Conn) error {
			_, err := io.WriteString(c, "SSH-2.0-x\r\n")
			return errors.Join(err, wantRead(c, "", nil))
		}, func(c net.Conn) error {
			return errors.Join(wantPrefix(c, "SSH-2.0-x\r\n"), c.Close())
		}},
		{"late answer to a half-closed request", func(c net.Conn) error {
			err := wantRead(c, "x", nil)
			time.Sleep(10 * time.Minute) // virtual
			_, err2 := io.WriteString(c, "the whole answer")
			return errors.Join(err, err2)
		}, func(c net.Conn) error {
			c.SetDeadline(time.Time{})
			_, err := io.WriteString(c, "x")
			return errors.Join(err, closeWriteErr(c), wantRead(c, "the whole answer", nil))
		}},
		{"service half-closes, visitor goes on", func(c net.Conn) error {
			_, err := io.WriteString(c, "bye")
			return errors.Join(err, closeWriteErr(c), wantRead(c, "still here", nil))
		}, func(c net.Conn) error {
			err := wantRead(c, "bye", nil)
			_, err2 := io.WriteString(c, "still here")
			return errors.Join(err, err2, c.Close())
		}},
		{"visitor resets", func(c net.Conn) error {
			return wantRead(c, "data", syscall.ECONNRESET)
		}, func(c net.Conn) error {
			_, err := io.WriteString(c, "data")
			time.Sleep(time.Second)
			return errors.Join(err, c.(lingerer).SetLinger(0), c.Close())
		}},
		{"visitor resets after its FIN", func(c net.Conn) error {
			err := wantRead(c, "data", nil)
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(c, "more")
			}
			return onlyReset(err)
		}, func(c net.Conn) error {
			_, err := io.WriteString(c, "data")
			err = errors.Join(err, closeWriteErr(c))
			time.Sleep(1500 * time.Millisecond)
			return errors.Join(err, c.(lingerer).SetLinger(0), c.Close())
		}},
		{"service resets", func(c net.Conn) error {
			err := wantPrefix(c, "hi")
			_, err2 := io.WriteString(c, "answer before the reset")
			return errors.Join(err, err2, c.(lingerer).SetLinger(0), c.Close())
		}, func(c net.Conn) error {
			_, err := io.WriteString(c, "hi")
			return errors.Join(err, wantRead(c, "answer before the reset", syscall.ECONNRESET))
		}},
		{"service refuses", nil, func(c net.Conn) error {
			return wantRead(c, "", syscall.ECONNRESET)
		}},
		{"visitor connects and leaves", func(c net.Conn) error { return wantRead(c, "", nil) },
			func(c net.Conn) error { return c.Close() }},
		{"bulk both ways", func(c net.Conn) error { echo(c); return nil }, func(c net.Conn) error {
			data := make([]byte, 3<<20)
			rand.Read(data)
			failed := make(chan error, 1)
			go func() {
				_, err := c.Write(data)
				failed <- errors.Join(err, closeWriteErr(c))
			}()
			got, err := io.ReadAll(c)
			if !bytes.Equal(got, data) {
				err = errors.Join(err, fmt.Errorf("%d bytes came back changed, of %d", len(got), len(data)))
			}
			return errors.Join(err, <-failed)
		}},
	}
}

func TestRelay(t *testing.T) {
	for _, test := range relayCases() {
		t.Run(test.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) { test.run(t, w, func(server *Server) {}) })
		})
	}
}

// run makes the case happen, and meanwhile what disturbs it.
func (test *relayCase) run(t *testing.T, w *world, disturb func(*Server)) {
	server := w.startServer()
	served := make(chan error, 1)
	if test.service == nil {
		served <- nil
	} else {
		w.serveTCP(web, func(c net.Conn) { served <- test.service(c) })
	}
	w.startNode(expose("web", web)).leasesWait(t)
	disturb(server.server)
	if err := test.visitor(w.visit("20000")); err != nil {
		t.Errorf("visitor: %v", err)
	}
	select {
	case err := <-served:
		if err != nil {
			t.Errorf("service: %v", err)
		}
	case <-time.After(time.Hour):
		t.Fatal("the service still waits")
	}
	eventually(t, "all relays ended", func() bool { return relaying(server.server) == 0 })
}

type lingerer interface{ SetLinger(int) error }

func closeWriteErr(c net.Conn) error { return c.(interface{ CloseWrite() error }).CloseWrite() }

func exchangeErr(c net.Conn, line string) error {
	_, err := io.WriteString(c, line)
	return errors.Join(err, wantPrefix(c, line))
}

func wantPrefix(c net.Conn, want string) error {
	got := make([]byte, len(want))
	_, err := io.ReadFull(c, got)
	if err != nil || string(got) != want {
		return fmt.Errorf("read %q, %w; want %q", got, err, want)
	}
	return nil
}

// wantRead reads to the end, which must be FIN (nil) or the given error.
func wantRead(c net.Conn, want string, end error) error {
	got, err := io.ReadAll(c)
	if string(got) != want || !errors.Is(err, end) {
		return fmt.Errorf("read %q and %v, want %q and %v", got, err, want, end)
	}
	return nil
}

func onlyReset(err error) error {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return fmt.Errorf("want a reset, got %w", err)
}
