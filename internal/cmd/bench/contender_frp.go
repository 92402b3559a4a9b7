package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var frpListening = regexp.MustCompile(`frps started successfully`)

// findFrp: both of its encrypted transports, otherwise as it comes.
func findFrp(peers string) ([]contender, error) {
	server, err := lookup(peers, "frps")
	if err != nil || server == "" {
		return nil, err
	}
	client, err := lookup(peers, "frpc")
	if err != nil || client == "" {
		return nil, err
	}
	version, err := versionOf(server)
	if err != nil {
		return nil, err
	}
	var found []contender
	for _, way := range []struct{ name, protocol string }{{"frp tcp+tls", "tcp"}, {"frp quic", "quic"}} {
		found = append(found, contender{name: way.name, version: version, offers: everything, start: func(ctx context.Context, s *site) (string, error) {
			return startFrp(ctx, s, server, client, way.protocol)
		}})
	}
	return found, nil
}

func startFrp(ctx context.Context, s *site, server, client, protocol string) (string, error) {
	nodes, public, err := s.twoPorts()
	if err != nil {
		return "", err
	}
	service, err := s.servicePort()
	if err != nil {
		return "", err
	}
	web := 0
	if s.exposes.host != "" {
		web = public
	}
	serverFile, err := s.write("frps.toml", frpServer(s.host, nodes, web, protocol))
	if err != nil {
		return "", err
	}
	if _, err := s.run(ctx, s.server, frpListening, server, "-c", serverFile); err != nil {
		return "", err
	}
	clientFile, err := s.write("frpc.toml", frpClient(s.exposes, s.host, nodes, protocol, service, public))
	if err != nil {
		return "", err
	}
	_, err = s.run(ctx, s.home, nil, client, "-c", clientFile)
	return s.at(public), err
}

// frpServer is the configuration of frps; QUIC has a port of its own there, and web is for web sites by name, if
// there are any.
func frpServer(host string, port, web int, protocol string) string {
	var file strings.Builder
	fmt.Fprintf(&file, "bindAddr = %q\nbindPort = %d\nauth.token = %q\n", host, port, peerSecret)
	if web > 0 {
		fmt.Fprintf(&file, "vhostHTTPPort = %d\n", web)
	}
	if protocol == "quic" {
		fmt.Fprintf(&file, "quicBindPort = %d\n", port)
	}
	return file.String()
}

func frpClient(e exposure, host string, port int, protocol string, service, public int) string {
	kind, keys := "tcp", fmt.Sprintf("remotePort = %d", public)
	switch {
	case e.udp:
		kind = "udp"
	case e.host != "":
		kind, keys = "http", fmt.Sprintf("customDomains = [%q]", e.host)
	case e.limit > 0: // its KB is 1024 bytes, and it has no smaller unit
		keys += fmt.Sprintf("\ntransport.bandwidthLimit = \"%sKB\"", strconv.FormatFloat(float64(e.limit)/1024, 'f', -1, 64))
	case e.proxy:
		keys += "\ntransport.proxyProtocolVersion = \"v2\""
	}
	return fmt.Sprintf(`serverAddr = %q
serverPort = %d
auth.token = %q
transport.protocol = %q

[[proxies]]
name = "bench"
type = %q
localIP = "127.0.0.1"
localPort = %d
%s
`, host, port, peerSecret, protocol, kind, service, keys)
}

// peerSecret is the password of tunnels that live for seconds between processes of this machine.
const peerSecret = "for-the-benchmark-alone"
