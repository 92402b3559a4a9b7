package main

import (
	"slices"
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]string{
		"0.70.1\n":               "0.70.1",
		"apquic-server 9feb323":  "9feb323",
		"apquic-server v1.2.3":   "1.2.3",
		"other-cli 0.5.2\n":      "0.5.2",
		"1.12.0-rc.1":            "1.12.0-rc.1",
		"some program, nameless": "some program, nameless",
		"tool \nBuild Timestamp:     2026-11-23T20:06:26.585804262Z\nBuild Version:       0.5.0\n": "0.5.0",
	} {
		if got := parseVersion(text); got != want {
			t.Errorf("%q is version %q, not %q", text, got, want)
		}
	}
}

func TestFrpFiles(t *testing.T) {
	server := frpServer("203.0.113.1", 7000, 0, "quic")
	client := frpClient(exposure{}, "203.0.113.1", 7000, "quic", 80, 20000)
	for _, want := range []string{`bindAddr = "203.0.113.1"`, "bindPort = 7000", "quicBindPort = 7000"} {
		hasLine(t, server, want)
	}
	for _, want := range []string{`serverAddr = "203.0.113.1"`, "serverPort = 7000", `transport.protocol = "quic"`, "localPort = 80", "remotePort = 20000"} {
		hasLine(t, client, want)
	}
	hasLine(t, frpServer("203.0.113.1", 7000, 8080, "tcp"), "vhostHTTPPort = 8080")
	hasLine(t, frpClient(exposure{udp: true}, "203.0.113.1", 7000, "tcp", 80, 20000), `type = "udp"`)
	site := frpClient(exposure{host: siteName}, "203.0.113.1", 7000, "tcp", 80, 20000)
	hasLine(t, site, `type = "http"`)
	hasLine(t, site, `customDomains = ["www.example.org"]`)
	hasLine(t, frpClient(exposure{proxy: true}, "203.0.113.1", 7000, "tcp", 80, 20000), `transport.proxyProtocolVersion = "v2"`)
	hasLine(t, frpClient(exposure{limit: 20e6}, "203.0.113.1", 7000, "tcp", 80, 20000), `transport.bandwidthLimit = "19531.25KB"`)
	if strings.Contains(frpServer("127.0.0.1", 7000, 0, "tcp"), "quic") {
		t.Error("QUIC is on where it is not measured")
	}
}

func TestRatholeFiles(t *testing.T) {
	serverSection, clientSection, err := ratholeNoise()
	if err != nil {
		t.Fatal(err)
	}
	server := ratholeServer("127.0.0.1:7000", "127.0.0.1:20000", serverSection)
	client := ratholeClient("127.0.0.1:7000", "127.0.0.1:80", clientSection)
	for _, want := range []string{`bind_addr = "127.0.0.1:7000"`, `bind_addr = "127.0.0.1:20000"`, "[server.transport.noise]", `type = "noise"`} {
		hasLine(t, server, want)
	}
	for _, want := range []string{`remote_addr = "127.0.0.1:7000"`, `local_addr = "127.0.0.1:80"`, "[client.transport.noise]"} {
		hasLine(t, client, want)
	}
}

func hasLine(t *testing.T, text, line string) {
	t.Helper()
	if !slices.Contains(strings.Split(text, "\n"), line) {
		t.Errorf("there is no line %s in:\n%s", line, text)
	}
}

func TestCommandLines(t *testing.T) {
	for _, test := range []struct {
		got  []string
		want string
	}{
		{chiselServer("chisel", "127.0.0.1", 7000), "chisel server --reverse --auth SECRET --host 127.0.0.1 --port 7000"},
		{chiselClient("chisel", "127.0.0.1:7000", "127.0.0.1:20000", "127.0.0.1:80"), "chisel client --auth SECRET http://127.0.0.1:7000 R:127.0.0.1:20000:127.0.0.1:80"},
		{boreClient("bore", "127.0.0.1", 80, 20000), "bore local 80 --local-host 127.0.0.1 --to 127.0.0.1 --port 20000 --secret SECRET"},
	} {
		got := strings.Join(test.got, " ")
		got = strings.NewReplacer("bench:"+peerSecret, "SECRET", peerSecret, "SECRET").Replace(got)
		if got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestPeersAreFound(t *testing.T) {
	if found, err := findFrp(t.TempDir()); len(found) != 0 || err != nil {
		t.Errorf("an empty folder has %v, %v", found, err)
	}
	if _, err := contenders("there-is-no-such-folder", "", ""); err == nil {
		t.Error("apquic was found where it is not")
	}
}

func TestPortsDiffer(t *testing.T) {
	var p ports
	seen := map[int]bool{}
	for range 100 {
		port, err := p.free()
		if err != nil || seen[port] || port < firstPort || port >= lastPort {
			t.Fatalf("%d, %v", port, err)
		}
		seen[port] = true
	}
}
