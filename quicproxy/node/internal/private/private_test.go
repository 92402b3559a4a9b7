package private

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/joint"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/node/internal/upstream"
)

func newKey(t *testing.T) certs.PrivateKey {
	t.Helper()
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); accepted.Close() })
	return c.(*net.TCPConn), accepted.(*net.TCPConn)
}

// echoService echoes at an address of this machine.
func echoService(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			})
		}
	})
	return listener.Addr().String()
}

// named is a stream with what a server calls the other node.
type named struct {
	*net.TCPConn
	name string
}

func (n named) NodeName() string { return n.name }

// home is a node with a private service, and what it logged.
type home struct {
	t     *testing.T
	key   certs.PrivateKey
	guard *Guard

	mu     sync.Mutex
	logged bytes.Buffer
}

func (h *home) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.logged.Write(p)
}

func (h *home) log() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.logged.String()
}

func newHome(t *testing.T, address string, allow ...string) *home {
	t.Helper()
	up, err := upstream.New(upstream.Settings{Address: address}, new(net.Dialer).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	h := &home{t: t, key: newKey(t)}
	known := certs.NewKnownNodes("")
	h.guard, err = New(Config{
		Service: "ssh", Key: h.key, Allow: allow, Upstream: up, Reached: func(error) {}, Log: slog.New(slog.NewTextHandler(h, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Known: func(name string, id certs.NodeID) error { _, err := known.Check(name, id); return err },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// stream brings a stream to the service, and returns its other end.
func (h *home) stream(name string) *net.TCPConn {
	near, far := pair(h.t)
	h.t.Cleanup(h.guard.Handle(named{far, name}))
	return near
}

func (h *home) dial(key certs.PrivateKey, name string) (*Conn, error) {
	c, err := Dial(h.t.Context(), h.stream(name), key, h.key.ID(), "ssh")
	if err != nil {
		return nil, err
	}
	return c.(*Conn), nil
}

func exchange(c net.Conn, line string) error {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, line); err != nil {
		return err
	}
	got := make([]byte, len(line))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != line {
		return errors.Join(errors.New("got "+string(got)), err)
	}
	return nil
}

// TestGuard: the own node, an id and a name may connect; a half-closed connection goes on in the other direction.
func TestGuard(t *testing.T) {
	t.Parallel()
	byID, byName := newKey(t), newKey(t)
	h := newHome(t, echoService(t), byID.ID().String(), "laptop")
	for name, key := range map[string]certs.PrivateKey{"": h.key, "other": byID, "laptop": byName} {
		c, err := h.dial(key, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := exchange(c, "hello"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c.CloseWrite()
		if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
			t.Errorf("%s: %q, %v after the end", name, rest, err)
		}
		c.Close()
	}
}

// TestGuardRefuses: whoever is not allowed hears only that, and the upstream is not even dialled.
func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	dialled, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	laptop := newKey(t)
	h := newHome(t, dialled.Addr().String(), "laptop", laptop.ID().String())
	var known sync.WaitGroup
	known.Go(func() { // the only one that gets there
		c, err := dialled.Accept()
		if err == nil {
			c.Close()
		}
	})
	if c, err := h.dial(laptop, ""); err != nil {
		t.Fatal(err)
	} else {
		c.Close()
	}
	known.Wait()
	friend := newKey(t)
	h.guard.config.Known("laptop", friend.ID())
	for name, key := range map[string]certs.PrivateKey{"": newKey(t), "desktop": newKey(t), "laptop": newKey(t), laptop.ID().String(): newKey(t)} {
		_, err := h.dial(key, name)
		if failure, ok := errors.AsType[*quicproxy.FailureError](err); !ok || failure.Code != framing.ErrorNoPrivateService || failure.Advice == "" {
			t.Errorf("%q: %v", name, err)
		}
		if !strings.Contains(h.log(), key.ID().String()) {
			t.Errorf("%q: the owner does not learn who it was: %s", name, h.log())
		}
	}
	if !strings.Contains(h.log(), "the server says that laptop is now the node") {
		t.Errorf("a changed name: %s", h.log())
	}
	dialled.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := dialled.Accept(); err == nil {
		t.Error("the upstream was dialled for a node that may not connect")
	}
}

// TestLyingServer: a server that answers itself, leads to another node, cuts a connection, or plays back what it saw,
// is noticed.
func TestLyingServer(t *testing.T) {
	t.Parallel()
	laptop, address := newKey(t), echoService(t)
	h := newHome(t, address, laptop.ID().String())
	t.Run("another node", func(t *testing.T) {
		t.Parallel()
		other := newHome(t, address, laptop.ID().String())
		_, err := Dial(t.Context(), other.stream(""), laptop, h.key.ID(), "ssh")
		if wrong, ok := errors.AsType[*certs.WrongNodeError](err); !ok || wrong.Got != other.key.ID() {
			t.Error(err)
		}
	})
	t.Run("another service", func(t *testing.T) {
		t.Parallel()
		if c, err := Dial(t.Context(), h.stream(""), laptop, h.key.ID(), "vnc"); err == nil {
			t.Error(c)
		}
	})
	t.Run("no TLS", func(t *testing.T) {
		t.Parallel()
		near := h.stream("")
		near.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(near, "SSH-2.0-server\r\n")
		if got, _ := io.ReadAll(near); bytes.Contains(got, []byte("SSH")) {
			t.Errorf("the upstream answered %q", got)
		}
	})
	t.Run("replay", func(t *testing.T) {
		t.Parallel()
		replay(t, h, laptop)
	})
	t.Run("cut short", func(t *testing.T) {
		t.Parallel()
		// The server passes everything on, and ends one direction where the node said nothing of an end.
		near, far := pair(t)
		to := h.stream("")
		var passing sync.WaitGroup
		passing.Go(func() { io.Copy(to, far) })
		cut := make(chan struct{})
		passing.Go(func() {
			go func() { <-cut; to.SetReadDeadline(time.Unix(1, 0)) }()
			io.Copy(far, to)
			far.CloseWrite()
		})
		c, err := Dial(t.Context(), near, laptop, h.key.ID(), "ssh")
		if err != nil {
			t.Fatal(err)
		}
		if err := exchange(c, "hello"); err != nil {
			t.Error(err)
		}
		close(cut)
		if _, err := io.ReadAll(c); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut short: %v", err)
		}
		joint.Reset(c)
		passing.Wait()
	})
}

// replay sends a node again what a server saw of a good connection.
func replay(t *testing.T, h *home, laptop certs.PrivateKey) {
	near, far := pair(t)
	to := h.stream("")
	var recorded bytes.Buffer
	var passing sync.WaitGroup
	passing.Go(func() { io.Copy(io.MultiWriter(to, &recorded), far); to.CloseWrite() })
	passing.Go(func() { io.Copy(far, to); far.CloseWrite() })
	c, err := Dial(t.Context(), near, laptop, h.key.ID(), "ssh")
	if err != nil {
		t.Fatal(err)
	}
	if err := exchange(c, "secret command"); err != nil {
		t.Error(err)
	}
	c.Close()
	passing.Wait()
	if bytes.Contains(recorded.Bytes(), []byte("secret")) {
		t.Error("the server can read it")
	}
	again := h.stream("")
	again.SetDeadline(time.Now().Add(20 * time.Second))
	before := strings.Count(h.log(), "a node connects")
	again.Write(recorded.Bytes())
	again.CloseWrite()
	io.ReadAll(again)
	if after := strings.Count(h.log(), "a node connects"); after != before {
		t.Error("a replay is a node")
	}
}

// TestHandshakeFlood: a server that begins handshakes without end costs a bounded number, which end, and then everybody
// else is served.
func TestHandshakeFlood(t *testing.T) {
	t.Parallel()
	h := newHome(t, echoService(t))
	var mute []*net.TCPConn
	for range 2 * maxHandshakes {
		mute = append(mute, h.stream(""))
	}
	var refused limit.Count
	var reading sync.WaitGroup
	for _, c := range mute {
		reading.Go(func() {
			c.SetReadDeadline(time.Now().Add(3 * time.Second))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				refused.Take(len(mute))
			}
		})
	}
	reading.Wait()
	if refused.Len() != maxHandshakes {
		t.Errorf("%d of %d were refused at once, want %d", refused.Len(), len(mute), maxHandshakes)
	}
	for _, c := range mute {
		c.Close()
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := h.dial(h.key, "")
		if err == nil {
			if err := exchange(c, "hello"); err != nil {
				t.Error(err)
			}
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestDialGivesUp: whoever says nothing, or something else, or goes, costs a limited time.
func TestDialGivesUp(t *testing.T) {
	t.Parallel()
	laptop, garage := newKey(t), newKey(t).ID()
	ctx, cancel := context.WithCancel(t.Context())
	near, _ := pair(t)
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := Dial(ctx, near, laptop, garage, "ssh"); !errors.Is(err, context.Canceled) && err == nil {
		t.Error(err)
	}
	near, far := pair(t)
	far.Close()
	if _, err := Dial(t.Context(), near, laptop, garage, "ssh"); err == nil {
		t.Error("nobody is there")
	}
	near, far = pair(t)
	io.WriteString(far, "SSH-2.0-OpenSSH\r\n")
	if _, err := Dial(t.Context(), near, laptop, garage, "ssh"); err == nil {
		t.Error("no TLS")
	}
	h := newHome(t, "127.0.0.1:1")
	_, err := h.dial(h.key, "")
	if failure, ok := errors.AsType[*quicproxy.FailureError](err); !ok || failure.Code != framing.ErrorUpstreamRefused {
		t.Errorf("no upstream: %v", err)
	}
}

// TestMeant: an id is what it says, a name what it meant first.
func TestMeant(t *testing.T) {
	t.Parallel()
	one, two := newKey(t).ID(), newKey(t).ID()
	known := certs.NewKnownNodes("")
	check := func(name string, id certs.NodeID) error { _, err := known.Check(name, id); return err }
	for _, test := range []struct {
		node string
		told []byte
		want certs.NodeID
	}{
		{"garage", one[:], one}, {"garage", one[:], one}, {"garage", two[:], certs.NodeID{}},
		{one.String(), one[:], one}, {one.String(), two[:], one},
		{"attic", nil, certs.NodeID{}}, {"attic", make([]byte, 32), certs.NodeID{}}, {"attic", one[:31], certs.NodeID{}}, {"a/b", one[:], certs.NodeID{}},
	} {
		if got, err := Meant(test.node, test.told, check); (err == nil) != (test.want != certs.NodeID{}) || err == nil && got != test.want {
			t.Errorf("%s, told %x: %v, %v", test.node, test.told, got, err)
		}
	}
}

// TestNewGuard: what cannot be a node is refused.
func TestNewGuard(t *testing.T) {
	t.Parallel()
	for _, allow := range [][]string{{""}, {"a b"}, {"-x"}, make([]string, framing.MaxAllowNodes+1)} {
		for i := range allow {
			if len(allow) > 1 {
				allow[i] = "laptop"
			}
		}
		if _, err := New(Config{Service: "ssh", Key: newKey(t), Allow: allow}); err == nil {
			t.Errorf("%q may connect", allow)
		}
	}
}
