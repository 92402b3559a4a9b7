package settings

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"apquic/certs"
)

// The files of testdata/seeds are the three examples of the Active Proxy guide, byte for byte.

func TestSeedServerHasPublishedKey(t *testing.T) {
	t.Parallel()
	data := readTestdata(t, "seeds/server.conf")
	s := DefaultServer()
	err := ParseServer("server.conf", data, &s)
	wantMistakes(t, err, []string{"server.conf:21: services[0].configuration.peerPrivateKey: ", "published"})
	published, ok := errors.AsType[*certs.PublishedKeyError](err)
	if !ok || published.ID.String() != "9murrqRxsyVyfCFiF5KQe5x4jt7yVjU6c26D5K4QZjvC" {
		t.Errorf("got %v, want the PublishedKeyError of the guide's key", err)
	}
	if strings.Contains(err.Error(), "d7f3d9cb") {
		t.Errorf("the private key is in the error: %v", err)
	}
	if s.Listen != DefaultServer().Listen || s.DataDir != DefaultServer().DataDir || s.Bootstraps != nil {
		t.Errorf("a file with a mistake changed the settings: %+v", s)
	}
}

func TestSeedServerWithoutKey(t *testing.T) {
	t.Parallel()
	data := readTestdata(t, "seeds/server.conf")
	var kept [][]byte
	for line := range bytes.Lines(data) {
		if !bytes.Contains(line, []byte("peerPrivateKey")) {
			kept = append(kept, line)
		}
	}
	data = bytes.Join(kept, nil)
	// Other values than the defaults, so that it shows where they come from.
	data = bytes.Replace(data, []byte("8090"), []byte(`"8191"`), 1)
	data = bytes.Replace(data, []byte("20000-22000"), []byte("30000-30010"), 1)
	s := DefaultServer()
	if err := ParseServer("server.conf", data, &s); err != nil {
		t.Fatal(err)
	}
	if s.Listen != ":8191" || s.Range.String() != "30000-30010" || s.DataDir != "/var/lib/carrier" ||
		!s.IPv4 || s.IPv6 || s.DiscoveryPort != 39001 || !s.Key.IsZero() {
		t.Errorf("settings: %+v", s)
	}
	wantBootstrap(t, s.Bootstraps)
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
}

func TestSeedPlaceholders(t *testing.T) {
	t.Parallel()
	n := DefaultNode()
	err := ParseNode("p.conf", readTestdata(t, "seeds/placeholders.conf"), &n)
	wantMistakes(t, err,
		[]string{"p.conf:19: services[0].configuration.serverId: ", "placeholder", "want the id of the server"},
		[]string{"p.conf:20: services[0].configuration.serverHost: ", "placeholder", "want the server's name or IP address"},
		[]string{"p.conf:21: services[0].configuration.serverPort: ", "placeholder", "want the server's UDP port, such as 8090"},
		[]string{"p.conf:22: services[0].configuration.upstreamHost: ", "placeholder", "want the name or IP address of the service"},
		[]string{"p.conf:23: services[0].configuration.upstreamPort: ", "placeholder", "want the TCP port of the service", "such as 80"},
	)
}

func TestSeedSample(t *testing.T) {
	t.Parallel()
	n := DefaultNode()
	if err := ParseNode("sample.conf", readTestdata(t, "seeds/sample.conf"), &n); err != nil {
		t.Fatal(err)
	}
	if got, want := n.Server.String(), "apquic://"+serverID+"@155.138.245.211:8090"; got != want {
		t.Errorf("server %s, want %s", got, want)
	}
	if want := (Service{Name: "activeproxy", Upstream: "tcp://192.168.1.101:80"}); len(n.Services) != 1 || !reflect.DeepEqual(n.Services[0], want) {
		t.Errorf("services %+v, want %+v", n.Services, want)
	}
	if !n.IPv4 || n.IPv6 || n.DataDir != "./data" || n.Keepalive != DefaultNode().Keepalive {
		t.Errorf("settings: %+v", n)
	}
	wantBootstrap(t, n.Bootstraps)
	if err := n.Validate(); err != nil {
		t.Error(err)
	}
}

func wantBootstrap(t *testing.T, got []Bootstrap) {
	t.Helper()
	want := Bootstrap{ID: mustID(t, serverID), Address: "155.138.245.211", Port: 39001}
	if len(got) != 1 || got[0] != want {
		t.Errorf("bootstraps %+v, want %+v", got, want)
	}
}
