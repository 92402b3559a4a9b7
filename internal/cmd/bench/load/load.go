// Package load is both ends of a measured tunnel: the client that generates the load and the service behind.
// Both run in separate processes, so that CPU time and memory are the tunnel's alone. It must not know of
// tunnels: it connects to an address.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Kind is a kind of load.
type Kind string

const (
	Probe     Kind = "probe"     // until an echo comes back
	Down      Kind = "down"      // bytes from the service
	Up        Kind = "up"        // bytes to the service
	Echo      Kind = "echo"      // the latency of small messages
	Connect   Kind = "connect"   // connections that live for one echo
	Hold      Kind = "hold"      // idle connections, until stdin ends
	Stall     Kind = "stall"     // connections that ask for bytes and never read, until stdin ends
	HalfClose Kind = "halfclose" // an answer to a finished request
	Watch     Kind = "watch"     // what a network event does to connections
	Datagrams Kind = "datagrams" // of UDP, there and back
	Paced     Kind = "paced"     // datagrams at a fixed rate
	Requests  Kind = "requests"  // of HTTP
)

// Job says what load to make.
type Job struct {
	Kind    Kind
	Address string
	Conns   int
	// Time is how long to measure, after Warmup.
	Time, Warmup time.Duration
	// Pause is the time between two messages of a connection.
	Pause time.Duration
	// Size is that of a datagram, and PerSecond how many are sent.
	Size, PerSecond int
	// Host is the web site that requests are for. With Once each has a connection of its own.
	Host string
	Once bool
}

// Result is what a load found. Fields that do not belong to its kind are zero.
type Result struct {
	Error string `json:",omitempty"`

	Rate  float64 // bytes or connections per second
	Least float64 // bytes per second of the slowest connection
	Bytes int64   // in total, including the warm-up
	Count int     // total connections made, datagrams or requests

	P50, P99, Worst time.Duration
	Lost            int           // connections that broke, or datagrams that did not come back
	Outage          time.Duration // the longest time without a new connection that got an answer
	Whole           bool          // the answer came whole
}

// jobTimeout is how long a job may exceed its time: connecting through a bad network takes a while.
const jobTimeout = 30 * time.Second

// Main does the job that argument describes and prints the result as a line of JSON. Hold and Stall then keep
// their connections until stdin ends.
func Main(ctx context.Context, argument string, stdin io.Reader, stdout io.Writer) error {
	var job Job
	if err := json.Unmarshal([]byte(argument), &job); err != nil {
		return fmt.Errorf("the load: %w", err)
	}
	result, keep, err := job.run(ctx)
	if err != nil {
		result.Error = err.Error()
	}
	line, err := json.Marshal(result)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\n", line)
	if keep != nil {
		defer keep.close()
		io.Copy(io.Discard, stdin)
	}
	return nil
}

// run also returns the connections to keep.
func (j Job) run(ctx context.Context) (result Result, keep conns, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, j.Warmup+j.Time+jobTimeout, errors.New("the time for this load is over"))
	defer cancel()
	switch j.Kind {
	case Probe:
		err = j.probe(ctx)
	case Down, Up:
		result, err = j.bulk(ctx)
	case Echo:
		result, err = j.echo(ctx)
	case Connect:
		result, err = j.connect(ctx)
	case Hold, Stall:
		keep, err = j.hold(ctx)
		result.Count = len(keep)
	case HalfClose:
		result.Whole, err = j.halfClose(ctx)
	case Watch:
		result, err = j.watch(ctx)
	case Datagrams:
		result, err = j.datagrams(ctx)
	case Paced:
		result, err = j.paced(ctx)
	case Requests:
		result, err = j.requests(ctx)
	default:
		err = fmt.Errorf("there is no load %q", j.Kind)
	}
	return result, keep, err
}

// dial connects and says what the connection is for. The connection is broken when ctx ends.
func (j Job) dial(ctx context.Context, want byte) (*net.TCPConn, error) {
	var dialer net.Dialer
	if want == wantStall {
		dialer.Control = smallSocket
	}
	conn, err := dialer.DialContext(ctx, "tcp", j.Address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := conn.Write([]byte{want}); err != nil {
		conn.Close()
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

type conns []*net.TCPConn

func (c conns) close() {
	for _, conn := range c {
		conn.SetLinger(0)
		conn.Close()
	}
}

// atOnce bounds how many connections are being made at a time.
const atOnce = 32

// dialAll makes the job's connections, all of one sort.
func (j Job) dialAll(ctx context.Context, want byte, greet func(*net.TCPConn) error) (conns, error) {
	var (
		mu    sync.Mutex
		all   conns
		fault error
		work  sync.WaitGroup
		slots = make(chan struct{}, atOnce)
	)
	for range j.Conns {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			conn, err := j.dial(ctx, want)
			if err == nil {
				err = greet(conn)
			}
			mu.Lock()
			defer mu.Unlock()
			if conn != nil {
				all = append(all, conn)
			}
			if fault == nil {
				fault = err
			}
		})
	}
	work.Wait()
	if fault != nil {
		all.close()
		return nil, fmt.Errorf("making %d connections: %w", j.Conns, fault)
	}
	return all, nil
}

func noGreeting(*net.TCPConn) error { return nil }

// roundTrip sends a small message and waits until it is back.
func roundTrip(conn net.Conn, message, answer []byte) (time.Duration, error) {
	sent := time.Now()
	if _, err := conn.Write(message); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(conn, answer)
	return time.Since(sent), err
}
