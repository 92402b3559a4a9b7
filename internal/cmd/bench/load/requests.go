package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// page is what the service answers each request of HTTP.
const page = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world\n"

// requests sends requests of HTTP/1.1 for Host over Conns connections, one after the other. With Once each has a
// connection of its own.
func (j Job) requests(ctx context.Context) (Result, error) {
	begin := time.Now().Add(j.Warmup)
	end := begin.Add(j.Time)
	counted, all := make([]int, j.Conns), make([]int, j.Conns)
	faults := make([]error, j.Conns)
	var clients sync.WaitGroup
	for i := range j.Conns {
		clients.Go(func() {
			for faults[i] == nil && time.Now().Before(end) {
				faults[i] = j.browse(ctx, end, func(done time.Time) {
					if all[i]++; done.After(begin) && done.Before(end) {
						counted[i]++
					}
				})
			}
		})
	}
	clients.Wait()
	var result Result
	for i := range j.Conns {
		result.Count += all[i]
		result.Rate += float64(counted[i]) / j.Time.Seconds()
	}
	return result, errors.Join(faults...)
}

// browse uses one connection until end, or for one request.
func (j Job) browse(ctx context.Context, end time.Time, done func(time.Time)) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", j.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(end.Add(onceTimeout))
	reader := bufio.NewReader(conn)
	for time.Now().Before(end) {
		if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", j.Host); err != nil {
			return err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		if response.Body.Close(); err == nil && response.StatusCode != http.StatusOK {
			err = errors.New(response.Status)
		}
		if err != nil {
			return err
		}
		if done(time.Now()); j.Once {
			return nil
		}
	}
	return nil
}

// answerRequests answers requests of HTTP. The first byte of the first one was read.
func answerRequests(conn net.Conn) {
	reader := bufio.NewReaderSize(conn, 4<<10)
	for {
		for blank := false; !blank; {
			line, err := reader.ReadSlice('\n')
			if err != nil {
				return
			}
			blank = len(line) <= 2
		}
		if _, err := io.WriteString(conn, page); err != nil {
			return
		}
	}
}

// skipProxyHeader reads the rest of a header of the PROXY protocol, version 2, and returns the byte after it.
func skipProxyHeader(conn net.Conn) (byte, error) {
	var head [15]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return 0, err
	}
	rest := make([]byte, int(head[13])<<8+int(head[14])+1)
	_, err := io.ReadFull(conn, rest)
	return rest[len(rest)-1], err
}
