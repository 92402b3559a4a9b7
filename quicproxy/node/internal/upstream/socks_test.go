package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
)

// said is what a client says, and what it hears.
type said struct {
	io.Reader
	heard bytes.Buffer
}

func (s *said) Write(b []byte) (int, error)     { return s.heard.Write(b) }
func (s *said) SetReadDeadline(time.Time) error { return nil }

const greeting = "\x05\x01\x00"

// TestSOCKS: a proxy connects into its networks and nowhere else, whatever a name resolves to.
func TestSOCKS(t *testing.T) {
	t.Parallel()
	const done = "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	failed := func(code string) string { return "\x05" + code + done[2:] }
	name := func(name string) string {
		return greeting + "\x05\x01\x00\x03" + string(rune(len(name))) + name + "\x00\x16"
	}
	ipv4 := func(address string) string { return greeting + "\x05\x01\x00\x01" + address + "\x00\x16" }
	mapped := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"
	for what, test := range map[string]struct {
		says, hears, dials string
	}{
		"IPv4":           {ipv4("\xc0\xa8\x01\x05"), done, "192.168.1.5:22"},
		"IPv6":           {greeting + "\x05\x01\x00\x04\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x16", done, "[fd00::5]:22"},
		"IPv4 in IPv6":   {greeting + "\x05\x01\x00\x04" + mapped + "\xc0\xa8\x01\x05\x00\x16", done, "192.168.1.5:22"},
		"name":           {name("nas.lan"), done, "192.168.1.5:22"},
		"IPv4 as a name": {name("192.168.1.5"), done, "192.168.1.5:22"},
		"IPv6 as a name": {name("fd00::5"), done, "[fd00::5]:22"},
		"several":        {name("several.lan"), done, "192.168.1.6:22 192.168.1.5:22"},

		"another network":         {ipv4("\xc0\xa8\x02\x05"), failed("\x02"), ""},
		"this machine":            {ipv4("\x7f\x00\x00\x01"), failed("\x02"), ""},
		"this machine, too":       {ipv4("\x00\x00\x00\x00"), failed("\x02"), ""},
		"in IPv6":                 {greeting + "\x05\x01\x00\x04" + mapped + "\x7f\x00\x00\x01\x00\x16", failed("\x02"), ""},
		"outside as a name":       {name("8.8.8.8"), failed("\x02"), ""},
		"mapped as a name":        {name("::ffff:127.0.0.1"), failed("\x02"), ""},
		"with a zone":             {name("fe80::1%eth0"), failed("\x01"), ""},
		"a name that rebinds":     {name("evil.example"), failed("\x02"), ""},
		"a name that half does":   {name("half.example"), done, "192.168.1.5:22"}, // never the other half
		"a mapped name":           {name("mapped.example"), failed("\x02"), ""},
		"no such name":            {name("none.lan"), failed("\x04"), ""},
		"octal":                   {name("0300.0250.1.5"), failed("\x04"), ""},
		"a name with a control":   {name("nas.lan\r\n"), failed("\x01"), ""},
		"an empty name":           {name(""), failed("\x01"), ""},
		"refused":                 {ipv4("\xc0\xa8\x01\x08"), failed("\x05"), "192.168.1.8:22"},
		"port 0":                  {greeting + "\x05\x01\x00\x01\xc0\xa8\x01\x05\x00\x00", failed("\x01"), ""},
		"BIND":                    {greeting + "\x05\x02\x00\x01\xc0\xa8\x01\x05\x00\x16", failed("\x07"), ""},
		"UDP ASSOCIATE":           {greeting + "\x05\x03\x00\x01\xc0\xa8\x01\x05\x00\x16", failed("\x07"), ""},
		"another kind of address": {greeting + "\x05\x01\x00\x02", failed("\x08"), ""},
	} {
		var dialled []string
		p := newProxy([]netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("fd00::/64")}, func(_ context.Context, network, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			if strings.HasPrefix(address, "192.168.1.8:") || strings.HasPrefix(address, "192.168.1.6:") {
				return nil, &net.OpError{Err: syscall.ECONNREFUSED}
			}
			near, _ := net.Pipe()
			return near, nil
		})
		asked := 0
		p.resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
			asked++
			found := map[string]string{
				"nas.lan": "192.168.1.5", "several.lan": "192.168.1.6 192.168.1.5", "evil.example": "127.0.0.1 169.254.169.254", "half.example": "10.0.0.1 192.168.1.5", "mapped.example": "::ffff:127.0.0.1",
			}[host]
			if found == "" || asked > 1 { // the second answer would be another one
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			var all []netip.Addr
			for text := range strings.FieldsSeq(found) {
				all = append(all, netip.MustParseAddr(text))
			}
			return all, nil
		}
		s := &said{Reader: strings.NewReader(test.says + "and the rest")}
		c, err := p.dial(t.Context(), Client{Stream: s})
		if got := s.heard.String(); got != "\x05\x00"+test.hears {
			t.Errorf("%s: the client heard %q, want %q", what, got, "\x05\x00"+test.hears)
		}
		if got := strings.Join(dialled, " "); got != test.dials {
			t.Errorf("%s: dialled %q, want %q", what, got, test.dials)
		}
		if told := errors.As(err, new(*answeredError)); (c != nil) != (test.hears == done) || told != (c == nil) {
			t.Errorf("%s: %v, %v", what, c, err)
		}
		if rest, _ := io.ReadAll(s.Reader); c != nil && string(rest) != "and the rest" {
			t.Errorf("%s: %q is left for the upstream", what, rest)
		}
	}
}

func TestNotSOCKS(t *testing.T) {
	t.Parallel()
	for says, hears := range map[string]string{
		"GET / HTTP/1.1\r\n":          "",
		"\x04\x01\x00\x16":            "",
		"\x05\x00":                    "",
		"\x05\x01\x02":                "\x05\xff", // wants to give a password
		"\x05\x01":                    "",
		greeting + "\x04\x01\x00\x01": "\x05\x00",
		greeting + "\x05\x01\x00":     "\x05\x00",
		greeting + "\x05\x01\x00\x03\xff" + strings.Repeat("a", 254): "\x05\x00",
	} {
		p := newProxy([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("dialled")
		})
		s := &said{Reader: strings.NewReader(says)}
		if _, err := p.dial(t.Context(), Client{Stream: s}); err == nil || s.heard.String() != hears {
			t.Errorf("%q: heard %q, %v", says, s.heard.String(), err)
		}
	}
}

// FuzzSOCKS: whatever a client says, only addresses in the networks are dialled.
func FuzzSOCKS(f *testing.F) {
	f.Add([]byte(greeting + "\x05\x01\x00\x01\xc0\xa8\x01\x05\x00\x16"))
	f.Add([]byte(greeting + "\x05\x01\x00\x03\x07nas.lan\x00\x16"))
	f.Add([]byte(greeting + "\x05\x01\x00\x04" + strings.Repeat("\x00", 10) + "\xff\xff\xc0\xa8\x01\x05\x00\x16"))
	network := netip.MustParsePrefix("192.168.1.0/24")
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newProxy([]netip.Prefix{network}, func(_ context.Context, _, address string) (net.Conn, error) {
			if to, err := netip.ParseAddrPort(address); err != nil || !network.Contains(to.Addr()) || to.Port() == 0 {
				t.Fatalf("dialled %q", address)
			}
			return nil, syscall.ECONNREFUSED
		})
		p.resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
			if !isHostName(host) || len(host) > 255 {
				t.Fatalf("resolved %q", host)
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.168.1.5")}, nil
		}
		if _, err := p.dial(t.Context(), Client{Stream: &said{Reader: bytes.NewReader(data)}}); err == nil {
			t.Fatal("connected")
		}
	})
}

// TestSilentProxyClients: clients that say nothing are waited for for five seconds, and no more than 256 at once.
func TestSilentProxyClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, err := New(Settings{Address: "socks5:", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		results := make(chan error, maxAsking)
		for range maxAsking {
			near, far := net.Pipe()
			defer far.Close()
			go func() {
				_, err := u.Dial(t.Context(), Client{Stream: near})
				results <- err
			}()
		}
		synctest.Wait()
		if _, err := u.Dial(t.Context(), Client{Stream: &said{Reader: strings.NewReader(greeting)}}); !errors.Is(err, errTooManyAsked) {
			t.Errorf("one more: %v", err)
		}
		for range maxAsking {
			if err := <-results; Code(err) != framing.ErrorUpstreamTimeout {
				t.Errorf("%v: %v", err, Code(err))
			}
		}
		if took := time.Since(begun); took != askTimeout {
			t.Errorf("after %v", took)
		}
	})
}
