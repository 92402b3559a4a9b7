package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
)

// v2 is the signature of version 2, the command PROXY follows.
const v2 = "\r\n\r\n\x00\r\nQUIT\n"

// TestProxyHeader compares with what the specification prints, not with what the library reads back.
func TestProxyHeader(t *testing.T) {
	t.Parallel()
	const ipv6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	mapped := func(last string) string { return "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff" + last }
	for name, test := range map[string]struct {
		client Client
		v1, v2 string
	}{
		"IPv4": {
			Client{Address: "198.51.100.7:51000", Public: "203.0.113.5:20000"},
			"PROXY TCP4 198.51.100.7 203.0.113.5 51000 20000\r\n",
			v2 + "\x21\x11\x00\x0c\xc6\x33\x64\x07\xcb\x00\x71\x05\xc7\x38\x4e\x20",
		},
		"IPv6": {
			Client{Address: "[2001:db8::7]:51000", Public: "[2001:db8::5]:20000"},
			"PROXY TCP6 2001:db8::7 2001:db8::5 51000 20000\r\n",
			v2 + "\x21\x21\x00\x24" + ipv6 + "\x07" + ipv6 + "\x05" + "\xc7\x38\x4e\x20",
		},
		"IPv4 in IPv6": {
			Client{Address: "[::ffff:198.51.100.7]:51000", Public: "203.0.113.5:20000"},
			"PROXY TCP4 198.51.100.7 203.0.113.5 51000 20000\r\n",
			v2 + "\x21\x11\x00\x0c\xc6\x33\x64\x07\xcb\x00\x71\x05\xc7\x38\x4e\x20",
		},
		"both families": { // a load balancer may translate
			Client{Address: "[2001:db8::7]:51000", Public: "203.0.113.5:20000"},
			"PROXY TCP6 2001:db8::7 ::ffff:203.0.113.5 51000 20000\r\n",
			v2 + "\x21\x21\x00\x24" + ipv6 + "\x07" + mapped("\xcb\x00\x71\x05") + "\xc7\x38\x4e\x20",
		},
		"zone": {
			Client{Address: "[fe80::7%eth0]:51000", Public: "[fe80::7%eth0]:20000"},
			"PROXY TCP6 fe80::7 fe80::7 51000 20000\r\n",
			v2 + "\x21\x21\x00\x24\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\xc7\x38\x4e\x20",
		},
		"nobody":     {Client{}, "PROXY UNKNOWN\r\n", v2 + "\x20\x00\x00\x00"},
		"half known": {Client{Address: "198.51.100.7:51000"}, "PROXY UNKNOWN\r\n", v2 + "\x20\x00\x00\x00"},
		"a server that injects": {
			Client{Address: "1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n:80", Public: "203.0.113.5:20000"},
			"PROXY UNKNOWN\r\n", v2 + "\x20\x00\x00\x00",
		},
	} {
		for version, want := range map[byte]string{1: test.v1, 2: test.v2} {
			if got, err := proxyHeader(version, test.client, tcpAddress); err != nil || string(got) != want {
				t.Errorf("%s, version %d: %q %v, want %q", name, version, got, err, want)
			}
		}
	}
}

// FuzzProxyHeader: whatever a server claims, there is one line, or one header whose length is right.
func FuzzProxyHeader(f *testing.F) {
	f.Add("198.51.100.7:51000", "203.0.113.5:20000")
	f.Add("[2001:db8::7]:51000", "[2001:db8::5%eth0]:20000")
	f.Add("\r\n", "")
	f.Fuzz(func(t *testing.T, address, public string) {
		line, err := proxyHeader(1, Client{Address: address, Public: public}, tcpAddress)
		if n := len(line); err != nil || n > 107 || n < 15 || string(line[n-2:]) != "\r\n" || string(line[:6]) != "PROXY " {
			t.Fatalf("%q %v", line, err)
		}
		for _, c := range line[:len(line)-2] {
			if c < ' ' || c > '~' {
				t.Fatalf("%q", line)
			}
		}
		header, err := proxyHeader(2, Client{Address: address, Public: public}, udpAddress)
		if n := len(header); err != nil || n < 16 || n-16 != int(header[14])<<8+int(header[15]) {
			t.Fatalf("%q %v", header, err)
		}
	})
}

// TestProxyHeaderIsFirst: nothing of the client can come before it, and an upstream that takes nothing is one
// that cannot be reached.
func TestProxyHeaderIsFirst(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	got := make(chan string, 1)
	go func() {
		b := make([]byte, len("PROXY UNKNOWN\r\nhello"))
		io.ReadFull(far, b)
		got <- string(b)
	}()
	u, err := New(Settings{Address: "127.0.0.1:80", ProxyProtocol: 1}, func(context.Context, string, string) (net.Conn, error) { return near, nil })
	if err != nil {
		t.Fatal(err)
	}
	c, err := u.Dial(t.Context(), Client{})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "hello")
	if text := <-got; text != "PROXY UNKNOWN\r\nhello" {
		t.Errorf("the upstream got %q", text)
	}
	near, far = net.Pipe()
	far.Close()
	if c, err := u.Dial(t.Context(), Client{}); err == nil {
		t.Error("an upstream that took nothing was reached", c)
	}
	if _, err := near.Write(nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection was left open: %v", err)
	}
	if _, err := New(Settings{Address: "127.0.0.1:80", ProxyProtocol: 3}, nil); err == nil {
		t.Error("there is no version 3")
	}
}

// TestDatagramHeader: over UDP each datagram is to begin with a header, which says so.
func TestDatagramHeader(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address string
		version int
		client  Client
		want    string
	}{
		{"udp://127.0.0.1:53", 0, Client{Address: "198.51.100.7:51000", Public: "203.0.113.5:20000"}, ""},
		{
			"udp://127.0.0.1:53", 2, Client{Address: "198.51.100.7:51000", Public: "203.0.113.5:20000"},
			v2 + "\x21\x12\x00\x0c\xc6\x33\x64\x07\xcb\x00\x71\x05\xc7\x38\x4e\x20",
		},
		{
			"tcp+udp://127.0.0.1:53", 2, Client{Address: "198.51.100.7:51000", Public: "203.0.113.5:20000"},
			v2 + "\x21\x12\x00\x0c\xc6\x33\x64\x07\xcb\x00\x71\x05\xc7\x38\x4e\x20",
		},
		{"udp://127.0.0.1:53", 2, Client{Address: "198.51.100.7:51000"}, v2 + "\x20\x00\x00\x00"},
	} {
		u, err := New(Settings{Address: test.address, ProxyProtocol: test.version}, (&net.Dialer{}).DialContext)
		if err != nil {
			t.Fatal(err)
		}
		socket, prefix, err := u.DialUDP(t.Context(), test.client)
		if err != nil || string(prefix) != test.want {
			t.Errorf("%v: %q %v", test, prefix, err)
			continue
		}
		socket.Close()
	}
	for _, address := range []string{"udp://127.0.0.1:53", "tcp+udp://127.0.0.1:53"} {
		if _, err := New(Settings{Address: address, ProxyProtocol: 1}, nil); err == nil {
			t.Errorf("%s has version 1", address)
		}
	}
}
