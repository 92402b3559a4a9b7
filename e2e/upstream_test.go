package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// kinds are the services that scripts can put behind a node. Each handler serves one connection.
var kinds = map[string]func(c conn, text string){
	// Says text to whoever sends an HTTP request.
	"http": func(c conn, text string) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text)
		}
	},
	"echo": func(c conn, _ string) { io.Copy(c, c) },
	// Speaks first and waits for nothing.
	"greet": func(c conn, text string) { io.WriteString(c, text) },
	// Answers after the client has ended its direction.
	"count": func(c conn, _ string) {
		n, _ := io.Copy(io.Discard, c)
		fmt.Fprintf(c, "got %d bytes\n", n)
	},
	// Resets the connection after its first byte.
	"reset": func(c conn, _ string) {
		io.ReadFull(c, make([]byte, 1))
		c.netConn.(*net.TCPConn).SetLinger(0)
	},
}

func upstream(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 || kinds[strings.TrimPrefix(args[1], "unix-")] == nil {
		ts.Fatalf("usage: upstream VARIABLE [unix-]KIND [TEXT]")
	}
	text := ""
	if len(args) == 3 {
		text = args[2]
	}
	kind, overUnix := strings.CutPrefix(args[1], "unix-")
	network, address := "tcp", "127.0.0.1:0"
	if overUnix { // the path of a script's folder can be longer than a socket's may be
		dir, err := os.MkdirTemp("", "apquic")
		ts.Check(err)
		ts.Defer(func() { os.RemoveAll(dir) })
		network, address = "unix", filepath.Join(dir, "socket")
	}
	listener, err := net.Listen(network, address)
	ts.Check(err)
	w := worldOf(ts)
	w.services = append(w.services, serveConns(listener, func(c conn) { kinds[kind](c, text) }))
	ts.Setenv(args[0], listener.Addr().String())
	if address, ok := listener.Addr().(*net.TCPAddr); ok {
		ts.Setenv(args[0]+"_PORT", strconv.Itoa(address.Port))
	}
}

// service serves the connections of a listener until it is closed.
type service struct {
	listener net.Listener
	work     sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]bool // nil once closed
}

func serveConns(listener net.Listener, handle func(conn)) *service {
	s := &service{listener: listener, open: map[net.Conn]bool{}}
	s.work.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil || !s.add(c) {
				return
			}
			s.work.Go(func() {
				defer s.remove(c)
				handle(newConn(c))
			})
		}
	})
	return s
}

func (s *service) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		c.Close()
		return false
	}
	s.open[c] = true
	return true
}

func (s *service) remove(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Close()
	delete(s.open, c)
}

func (s *service) Close() error {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.open = nil
	s.mu.Unlock()
	s.work.Wait()
	return nil
}
