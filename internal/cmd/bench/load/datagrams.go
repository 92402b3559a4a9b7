package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// datagramTimeout is when a datagram that did not come back counts as lost.
	datagramTimeout = 250 * time.Millisecond
	// burstEvery is how often a sender at a fixed rate wakes up.
	burstEvery = time.Millisecond
)

func (j Job) dialUDP(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", j.Address)
	if err != nil {
		return nil, err
	}
	if udp, ok := conn.(*net.UDPConn); ok {
		udp.SetReadBuffer(4 << 20)
	}
	return conn, nil
}

// datagrams sends datagrams of Size bytes there and back: Conns clients with one each on its way.
func (j Job) datagrams(ctx context.Context) (Result, error) {
	begin := time.Now().Add(j.Warmup)
	end := begin.Add(j.Time)
	each := make([]Result, j.Conns)
	faults := make([]error, j.Conns)
	var clients sync.WaitGroup
	for i := range j.Conns {
		clients.Go(func() { each[i], faults[i] = j.pingPong(ctx, begin, end) })
	}
	clients.Wait()
	var result Result
	for _, one := range each {
		result.Rate += one.Rate
		result.Count += one.Count
		result.Lost += one.Lost
	}
	return result, errors.Join(faults...)
}

// pingPong counts from now on until end, with a rate that begins at begin.
func (j Job) pingPong(ctx context.Context, begin, end time.Time) (result Result, err error) {
	conn, err := j.dialUDP(ctx)
	if err != nil {
		return result, err
	}
	defer conn.Close()
	message, answer := make([]byte, j.Size), make([]byte, 1<<16)
	for n := uint64(1); ; n++ {
		now := time.Now()
		if now.After(end) || ctx.Err() != nil {
			return result, ctx.Err()
		}
		binary.BigEndian.PutUint64(message, n)
		conn.Write(message) // an error is that of an earlier one
		ok, err := awaitDatagram(conn, answer, n, now.Add(datagramTimeout))
		switch {
		case err != nil:
			return result, err
		case !ok:
			result.Lost++
			continue
		}
		if result.Count++; !now.Before(begin) {
			result.Rate += 1 / end.Sub(begin).Seconds()
		}
	}
}

// awaitDatagram reports whether datagram n comes back before the deadline.
func awaitDatagram(conn net.Conn, answer []byte, n uint64, deadline time.Time) (bool, error) {
	conn.SetReadDeadline(deadline)
	for {
		size, err := conn.Read(answer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		case errors.Is(err, net.ErrClosed):
			return false, err
		case err == nil && size >= 8 && binary.BigEndian.Uint64(answer) == n:
			return true, nil
		}
	}
}

// paced sends PerSecond datagrams of Size bytes a second over one flow, without waiting for those that come
// back, and counts them.
func (j Job) paced(ctx context.Context) (Result, error) {
	conn, err := j.dialUDP(ctx)
	if err != nil {
		return Result{}, err
	}
	defer conn.Close()
	seen := make([]bool, int(float64(j.PerSecond)*(j.Warmup+j.Time).Seconds())+1)
	first := int(float64(j.PerSecond) * j.Warmup.Seconds())
	var receiving sync.WaitGroup
	receiving.Go(func() { receivePaced(conn, seen) })
	message := make([]byte, j.Size)
	for begin, sent := time.Now(), 0; sent < len(seen) && ctx.Err() == nil; time.Sleep(burstEvery) {
		for due := int(time.Since(begin).Seconds() * float64(j.PerSecond)); sent < min(due, len(seen)); sent++ {
			binary.BigEndian.PutUint64(message, uint64(sent))
			conn.Write(message)
		}
	}
	time.Sleep(datagramTimeout)
	conn.SetReadDeadline(time.Unix(1, 0))
	receiving.Wait()
	var result Result
	for _, back := range seen[first:] {
		if result.Count++; !back {
			result.Lost++
		}
	}
	if result.Lost == result.Count {
		return result, fmt.Errorf("none of %d datagrams came back", result.Count)
	}
	return result, ctx.Err()
}

// receivePaced notes the numbers of the datagrams that come back until the deadline.
func receivePaced(conn net.Conn, seen []bool) {
	for answer := make([]byte, 1<<16); ; {
		n, err := conn.Read(answer)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil && n >= 8 {
			if number := binary.BigEndian.Uint64(answer); number < uint64(len(seen)) {
				seen[number] = true
			}
		}
	}
}

// echoDatagrams sends every datagram back until the socket is closed.
func echoDatagrams(socket *net.UDPConn) {
	socket.SetReadBuffer(4 << 20)
	for buffer := make([]byte, 1<<16); ; {
		n, from, err := socket.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			socket.WriteToUDPAddrPort(buffer[:n], from)
		}
	}
}
