package relay

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"apquic/framing"
	"apquic/internal/testnet"
	"apquic/quicproxy/internal/bytestream"
	"apquic/quicproxy/internal/memory"
)

// slowToTell is a Stream that is discarded, and whose relay has copied all that there was before anybody is told.
type slowToTell struct {
	bytestream.Stream // for what is not used
	over              chan struct{}
	done              chan struct{}
	close             sync.Once
}

func (s *slowToTell) Count(func(int, int), func(int)) {}
func (s *slowToTell) Watch(func(bool))                {}
func (s *slowToTell) Wait()                           { <-s.over }
func (s *slowToTell) Read([]byte) (int, error)        { return 0, net.ErrClosed }
func (s *slowToTell) CloseWrite() error               { return nil }
func (s *slowToTell) TakenBack() ([]byte, bool)       { return nil, false }
func (s *slowToTell) Finish()                         { close(s.done) }

func (s *slowToTell) Discard(framing.ErrorCode) {
	s.close.Do(func() { close(s.over) })
	<-s.done
}

// TestAbortResets: a relay that is aborted ends its TCP connection with a reset, not with an end that looks like that of the
// other side, whatever its goroutines do meanwhile.
func TestAbortResets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host := testnet.New(t).Host("192.0.2.1")
		listener, err := host.ListenTCP(":80")
		if err != nil {
			t.Fatal(err)
		}
		client, err := host.DialTCP(t.Context(), "192.0.2.1:80")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		closeWrite(client)
		r := New(tcp, memory.New(1<<20).Account(1), nil, func() {})
		r.Carry(&slowToTell{over: make(chan struct{}), done: make(chan struct{})})
		var running sync.WaitGroup
		running.Go(r.Run)
		synctest.Wait()
		r.Abort(framing.ErrorRelayReset)
		running.Wait()
		if _, err := io.ReadAll(client); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client sees %v", err)
		}
	})
}
