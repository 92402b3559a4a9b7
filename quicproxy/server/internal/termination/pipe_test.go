package termination

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func pipe() (near, far net.Conn) {
	return Pipe(&net.TCPAddr{Port: 443}, &net.TCPAddr{Port: 50000})
}

func closeWrite(c net.Conn) { c.(interface{ CloseWrite() error }).CloseWrite() }

func reset(c net.Conn) {
	c.(interface{ SetLinger(int) error }).SetLinger(0)
	c.Close()
}

// TestPipe: bytes, ends of one direction and resets arrive as they were sent; deadlines end what waits.
func TestPipe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe()
		if far.RemoteAddr().String() != ":50000" || far.LocalAddr().String() != ":443" || near.RemoteAddr().String() != ":443" {
			t.Errorf("%v to %v, %v to %v", far.RemoteAddr(), far.LocalAddr(), near.RemoteAddr(), near.LocalAddr())
		}
		sent := bytes.Repeat([]byte("sent "), 1<<16)
		var running sync.WaitGroup
		running.Go(func() {
			got, err := io.ReadAll(far)
			if !bytes.Equal(got, sent) || err != nil {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			far.Write(got[:100]) // after the end of the other direction
			closeWrite(far)
		})
		near.Write(sent)
		closeWrite(near)
		if got, err := io.ReadAll(near); len(got) != 100 || err != nil {
			t.Errorf("%d bytes come back, %v", len(got), err)
		}
		running.Wait()
		near.Close()
		far.Close()

		for name, test := range map[string]struct {
			end   func(net.Conn)
			reset bool
		}{"close": {func(c net.Conn) { c.Close() }, false}, "reset": {reset, true}} {
			near, far = pipe()
			running.Go(func() { time.Sleep(time.Second); test.end(far) })
			_, err := io.ReadAll(near)
			if errors.Is(err, syscall.ECONNRESET) != test.reset || !test.reset && err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := near.Write([]byte("more")); err == nil {
				t.Errorf("%s: it takes more", name)
			}
			running.Wait()
		}

		near, far = pipe()
		far.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a read: %v", err)
		}
		far.SetDeadline(time.Now().Add(time.Second))
		if _, err := far.Write(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a write: %v", err)
		}
		far.SetDeadline(time.Time{})
		running.Go(func() { far.Write([]byte("again")) })
		if got, err := io.ReadFull(near, make([]byte, 5)); got != 5 || err != nil {
			t.Errorf("after the deadlines: %v", err)
		}
		running.Wait()
		near.Close()
		far.Close()
	})
}
