package e2e

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// conn is a connection with a buffer for reading.
type conn struct {
	*bufio.Reader
	netConn net.Conn
}

func newConn(c net.Conn) conn { return conn{bufio.NewReader(c), c} }

func (c conn) Write(p []byte) (int, error) { return c.netConn.Write(p) }
func (c conn) Close() error                { return c.netConn.Close() }

func dial(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: dial NAME ADDRESS")
	}
	c, err := net.DialTimeout("tcp", args[1], maxWait)
	switch {
	case neg && err == nil:
		c.Close()
		ts.Fatalf("%s accepted the connection", args[1])
	case neg:
		return
	}
	ts.Check(err)
	c.SetDeadline(time.Now().Add(maxWait))
	opened := newConn(c)
	worldOf(ts).conns[args[0]] = &opened
}

func connOf(ts *testscript.TestScript, args []string, want int, usage string) *conn {
	if len(args) != want {
		ts.Fatalf("usage: %s", usage)
	}
	c := worldOf(ts).conns[args[0]]
	if c == nil {
		ts.Fatalf("no connection %s was dialled", args[0])
	}
	return c
}

func send(ts *testscript.TestScript, neg bool, args []string) {
	c := connOf(ts, args, 2, "send NAME TEXT")
	_, err := io.WriteString(c, args[1])
	ts.Check(err)
}

func read(ts *testscript.TestScript, neg bool, args []string) {
	c := connOf(ts, args, 2, "read NAME TEXT")
	got := make([]byte, len(args[1]))
	n, err := io.ReadFull(c, got)
	if string(got[:n]) != args[1] {
		ts.Fatalf("got %q (%v), not %q", got[:n], err, args[1])
	}
}

func closewrite(ts *testscript.TestScript, neg bool, args []string) {
	c := connOf(ts, args, 1, "closewrite NAME")
	ts.Check(c.netConn.(*net.TCPConn).CloseWrite())
}

func rest(ts *testscript.TestScript, neg bool, args []string) {
	c := connOf(ts, args, 1, "rest NAME")
	got, err := io.ReadAll(c)
	ts.Stdout().Write(got)
	switch {
	case neg && !errors.Is(err, syscall.ECONNRESET):
		ts.Fatalf("the connection ended with %v, not with a reset", err)
	case !neg:
		ts.Check(err)
	}
	ts.Check(c.Close())
	delete(worldOf(ts).conns, args[0])
}

// reset also accepts a reset that comes before the connection is used.
func reset(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: reset ADDRESS")
	}
	c, err := net.DialTimeout("tcp", args[0], maxWait)
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(maxWait))
		_, err = io.ReadAll(c)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		ts.Fatalf("the connection ended with %v, not with a reset", err)
	}
}

func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: fetch URL")
	}
	client := http.Client{Timeout: maxWait, Transport: &http.Transport{DisableKeepAlives: true}}
	body := []byte{}
	response, err := client.Get(args[0])
	if err == nil {
		body, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	if neg {
		if err == nil {
			ts.Fatalf("it answered: %s", body)
		}
		return
	}
	ts.Check(err)
	ts.Stdout().Write(body)
}
