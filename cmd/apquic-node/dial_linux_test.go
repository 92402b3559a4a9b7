package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"apquic/internal/nodeapi"
	"apquic/quicproxy/node"
)

// deaf is the address of a listener whose full queue makes it ignore SYNs, like a firewall that drops them.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "deaf")
	l, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for range 16 {
		c, err := net.DialTimeout("tcp", l.Addr().String(), 200*time.Millisecond)
		if err != nil {
			return l.Addr().String()
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue is never full")
	return ""
}

// TestDialPublic: the status says what a visitor would find at each public address, dialled in parallel.
func TestDialPublic(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent := deaf(t)
	_, port, _ := net.SplitHostPort(silent)
	want := map[string]string{
		"open": "  reachable\n", "closed": "  refused\n", "wrong": "  cannot be dialled: ", "none": "upstream answers\n",
		"silent": "  no answer: does a firewall in front of the server let TCP " + port + " in?\n", "silent2": "  no answer: ",
	}
	s := nodeapi.StatusOf(node.Status{Services: []node.ServiceStatus{
		{Service: "open", PublicAddress: "tcp://" + open.Addr().String()}, {Service: "closed", PublicAddress: "tcp://" + closed.Addr().String()},
		{Service: "silent", PublicAddress: "tcp://" + silent}, {Service: "silent2", PublicAddress: "tcp://" + silent},
		{Service: "wrong", PublicAddress: "tcp://127.0.0.1:port"}, {Service: "none"},
	}}, "v")
	begin := time.Now()
	dialPublic(t.Context(), s.Services)
	if took := time.Since(begin); took > dialTimeout+2*time.Second {
		t.Errorf("it took %v", took)
	}
	var out strings.Builder
	writeStatus(&out, s, time.Now())
	for line := range strings.Lines(strings.ReplaceAll(out.String(), "\n    ", "  ")) {
		name, _, _ := strings.Cut(line, " ")
		if text, ok := want[name]; ok && !strings.Contains(line, text) {
			t.Errorf("%q, want %q", line, text)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("nothing about %v in\n%s", want, &out)
	}
	c, err := open.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a visitor that says nothing: %d, %v", n, err)
	}
	c.Close()
}
