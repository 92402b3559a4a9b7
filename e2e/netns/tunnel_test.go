//go:build linux

package netns

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// keepalive is the nodes' keepalive interval: shorter than usual, so that the tests are.
const keepalive = 2 * time.Second

// tunnel is a service at home that a node and a server make public.
type tunnel struct {
	*internet
	service      *service
	server, node *process
	serverArgs   []string
	address      string // where the public finds the service
	overUDP      string // and the one over UDP
	nodeData     string // the node's data directory
}

// newTunnel starts one; both programs get settings.
func newTunnel(t testing.TB, settings ...string) *tunnel {
	t.Helper()
	data := t.TempDir()
	w := &tunnel{internet: newInternet(t), nodeData: filepath.Join(data, "node"), serverArgs: []string{"--range", "20000-20009", "--public-host", serverIP,
		"--data-dir", filepath.Join(data, "server"), "--log-level", "debug"}}
	w.serverArgs = append(w.serverArgs, settings...)
	w.service = newService(w.home)
	w.startServer()
	w.server.await(`^(apquic-server invite)`)
	invitation := strings.TrimSpace(run(t, "", program("apquic-server"), "invite", "--data-dir", filepath.Join(data, "server")))
	w.node = start(w.home, "the node", "apquic-node", append([]string{"--server", invitation, "--upstream", w.service.listener.Addr().String(),
		"--upstream", "udp=udp://" + serveUDP(w.home),
		"--data-dir", w.nodeData, "--keepalive", keepalive.String(), "--log-level", "debug"}, settings...)...)
	w.address, w.overUDP = w.node.await(`tcp://(.+) -> `), w.node.await(`udp://(.+) -> udp://`)
	return w
}

func (w *tunnel) startServer() {
	w.server = start(w.public, "the server", "apquic-server", w.serverArgs...)
}

// connected matches the server's log line for a connection other than a lane: lanes come and go with the
// losses of a link, and a busy machine loses packets.
var connected = regexp.MustCompile(`(?m) msg="node connected".* version=("[^"]*"|\S+)( joined=true)?$`)

// checkOneConnection fails the test if the node has made a connection to the server more than once.
func (w *tunnel) checkOneConnection() {
	w.t.Helper()
	if all := connected.FindAllString(w.server.text(), -1); len(all) != 1 {
		w.t.Errorf("the node connected %d times, not once: %q", len(all), all)
	}
}

// visit connects a visitor through the tunnel and returns both ends. The caller closes them.
func (w *tunnel) visit(limit time.Duration) (visitor, home *net.TCPConn, err error) {
	deadline := time.Now().Add(limit)
	err = w.public.do(func() error {
		c, err := net.DialTimeout("tcp", w.address, limit)
		if err == nil {
			visitor = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("visiting: %w", err)
	}
	if home, err = w.service.await(visitor, time.Until(deadline)); err != nil {
		visitor.Close()
		return nil, nil, err
	}
	return visitor, home, nil
}

// service is the listener at home. Each connection begins with a number that the visitor chose, by which the
// test finds the two ends that belong together.
type service struct {
	listener net.Listener
	work     sync.WaitGroup

	mu       sync.Mutex
	last     uint64
	awaiting map[uint64]chan *net.TCPConn
}

func newService(at *namespace) *service {
	s := &service{awaiting: map[uint64]chan *net.TCPConn{}}
	err := at.do(func() (err error) {
		s.listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if err != nil {
		at.t.Fatal(err)
	}
	s.work.Go(func() {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.work.Go(func() { s.hand(c.(*net.TCPConn)) })
		}
	})
	at.t.Cleanup(func() {
		s.listener.Close()
		s.work.Wait()
	})
	return s
}

// hand gives a connection to whoever awaits it.
func (s *service) hand(c *net.TCPConn) {
	c.SetDeadline(time.Now().Add(maxWait))
	var number [8]byte
	_, err := io.ReadFull(c, number[:])
	c.SetDeadline(time.Time{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if to := s.awaiting[binary.BigEndian.Uint64(number[:])]; to != nil && err == nil {
		to <- c
		return
	}
	c.Close()
}

// await returns the other end of a visitor's connection.
func (s *service) await(visitor net.Conn, limit time.Duration) (*net.TCPConn, error) {
	arrived := make(chan *net.TCPConn, 1)
	s.mu.Lock()
	s.last++
	number := s.last
	s.awaiting[number] = arrived
	s.mu.Unlock()
	_, err := visitor.Write(binary.BigEndian.AppendUint64(nil, number))
	if err == nil {
		select {
		case c := <-arrived:
			return c, nil
		case <-time.After(limit):
			err = fmt.Errorf("the connection did not reach home within %v", limit)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.awaiting, number)
	select {
	case c := <-arrived: // at the last moment
		c.Close()
	default:
	}
	return nil, err
}
