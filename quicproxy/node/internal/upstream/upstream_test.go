package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
)

// TestWhatIsDialled: an address has one meaning, whoever the client is said to be.
func TestWhatIsDialled(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:80":           "tcp 127.0.0.1:80",
		"tcp://nas.lan:22":       "tcp nas.lan:22",
		"unix:/run/app.sock":     "unix /run/app.sock",
		"http://nas.lan":         "tcp nas.lan:80",
		"http://[::1]:8080":      "tcp [::1]:8080",
		"https://192.168.1.5":    "tcp 192.168.1.5:443",
		"https://[fe80::1%eth0]": "tcp [fe80::1%eth0]:443",
		"file:/srv":              "",
		"socks5:":                "",
	} {
		dialled := ""
		s := Settings{Address: address}
		if address == "socks5:" {
			s.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}
		u, err := New(s, func(_ context.Context, network, address string) (net.Conn, error) {
			dialled += network + " " + address
			return nil, errors.New("not now")
		})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		u.Check(t.Context())
		if dialled != want {
			t.Errorf("%s: Check dialled %q, want %q", address, dialled, want)
		}
		if u.Serves() || want == "" {
			continue
		}
		dialled = ""
		u.Dial(t.Context(), Client{Address: "192.0.2.1:1", Public: "192.0.2.2:2"})
		if dialled != want {
			t.Errorf("%s: dialled %q, want %q", address, dialled, want)
		}
	}
}

// TestNews: only the first of several failures is worth a line, and their end.
func TestNews(t *testing.T) {
	t.Parallel()
	u := new(Upstream)
	for i, step := range []struct {
		err  error
		news bool
	}{
		{nil, false}, {os.ErrNotExist, true}, {os.ErrNotExist, false}, {context.Canceled, false}, {os.ErrPermission, false}, {nil, true}, {nil, false},
	} {
		if got := u.IsNews(step.err); got != step.news {
			t.Errorf("step %d, %v: news %t, want %t", i, step.err, got, step.news)
		}
	}
}
