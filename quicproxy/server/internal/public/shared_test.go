package public

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"apquic/quicproxy/internal/clients"
)

// TestStopKeepsSharedSockets: from Stop to Close new clients of domains wait in the queue of the socket, for the next
// process, which may have inherited it.
func TestStopKeepsSharedSockets(t *testing.T) {
	t.Parallel()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listeners := New(Config{Park: time.Minute, Clients: clients.New(100, 100, 100), Log: slog.New(slog.DiscardHandler)})
	if err := listeners.Share(socket, true); err != nil {
		t.Fatal(err)
	}
	listeners.Stop()
	waiting, err := net.Dial("tcp", socket.Addr().String())
	if err != nil {
		t.Fatalf("after Stop: %v", err)
	}
	defer waiting.Close()
	listeners.Close()
	listeners.Wait()
	if c, err := net.Dial("tcp", socket.Addr().String()); err == nil {
		c.Close()
		t.Error("the socket is still open after Close")
	}
}
