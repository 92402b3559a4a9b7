package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// The first byte of a connection says what the service does with it.
const (
	wantEcho   = 'e' // every byte comes back
	wantDown   = 'd' // bytes without end
	wantStall  = 's' // the same, with small kernel buffers, so that others have to store the data
	wantUp     = 'u' // bytes are discarded and counted; the count comes back as 8 bytes from time to time
	wantAnswer = 'h' // answerSize bytes, but only after the client has ended its direction

	wantPage = 'G'  // it is a request of HTTP
	wantSkip = '\r' // it is a header of the PROXY protocol, which another one follows
)

const (
	chunk       = 256 << 10
	smallBuffer = 16 << 10
	// countEvery is how often the service reports how much it received.
	countEvery = 50 * time.Millisecond
	// answerSize is more than buffers on the path can hide, and answerDelay is longer than a tunnel needs
	// that closes both directions at the end of one.
	answerSize  = 1 << 20
	answerDelay = 200 * time.Millisecond
)

// Serve is the service behind the tunnels. It listens on address, over TCP and UDP, prints "serving ADDRESS", and
// serves until ctx ends.
func Serve(ctx context.Context, address string, stdout io.Writer) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("the service: %w", err)
	}
	bound := listener.Addr().(*net.TCPAddr)
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: bound.IP, Port: bound.Port})
	if err != nil {
		listener.Close()
		return fmt.Errorf("the service: %w", err)
	}
	fmt.Fprintln(stdout, "serving", bound)
	var handlers sync.WaitGroup
	defer handlers.Wait()
	handlers.Go(func() { echoDatagrams(socket) })
	stop := context.AfterFunc(ctx, func() { listener.Close(); socket.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			time.Sleep(time.Millisecond) // out of files, until other connections end
			continue
		}
		handlers.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			handle(conn.(*net.TCPConn))
		})
	}
}

// handle serves one connection. Errors need no handling: the client sees the end.
func handle(conn *net.TCPConn) {
	var want [1]byte
	if _, err := io.ReadFull(conn, want[:]); err != nil {
		return
	}
	if want[0] == wantSkip {
		var err error
		if want[0], err = skipProxyHeader(conn); err != nil {
			return
		}
	}
	switch want[0] {
	case wantPage:
		answerRequests(conn)
	case wantEcho:
		echo(conn)
	case wantDown:
		pour(conn, chunk)
	case wantStall:
		conn.SetWriteBuffer(smallBuffer)
		pour(conn, smallBuffer)
	case wantUp:
		count(conn)
	case wantAnswer:
		if _, err := io.Copy(io.Discard, conn); err == nil {
			time.Sleep(answerDelay)
			conn.Write(make([]byte, answerSize))
		}
	}
}

// pour writes until the connection ends.
func pour(conn *net.TCPConn, size int) {
	for data := make([]byte, size); ; {
		if _, err := conn.Write(data); err != nil {
			return
		}
	}
}

// echo has a small buffer, as there may be thousands of idle connections.
func echo(conn *net.TCPConn) {
	buffer := make([]byte, 2<<10)
	for {
		n, err := conn.Read(buffer)
		if n > 0 {
			if _, err := conn.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func count(conn *net.TCPConn) {
	var total uint64
	var told time.Time
	for buffer := make([]byte, chunk); ; {
		n, err := conn.Read(buffer)
		total += uint64(n)
		if now := time.Now(); now.Sub(told) > countEvery {
			told = now
			conn.Write(binary.BigEndian.AppendUint64(nil, total))
		}
		if err != nil {
			return
		}
	}
}
