package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
)

// ownName is the contender that all others are compared with.
const ownName = "apquic"

var (
	invitationLine = regexp.MustCompile(`^apquic://\S+$`)
	leaseLine      = regexp.MustCompile(`(?:^|\s)(?:tcp|udp|http)://(\S+) -> `)
)

func findApquic(bin, name string) (contender, error) {
	server, err := lookup(bin, "apquic-server")
	if err != nil {
		return contender{}, err
	}
	node, err := lookup(bin, "apquic-node")
	if err != nil {
		return contender{}, err
	}
	if server == "" || node == "" {
		return contender{}, fmt.Errorf("apquic-server and apquic-node are not both in %s: run make build", bin)
	}
	version, err := versionOf(server)
	return contender{name: name, version: version, offers: everything, start: func(ctx context.Context, s *site) (string, error) {
		return startApquic(ctx, s, server, node)
	}}, err
}

func startApquic(ctx context.Context, s *site, server, node string) (string, error) {
	nodes, public, err := s.twoPorts()
	if err != nil {
		return "", err
	}
	arguments := []string{
		server, "--listen", s.at(nodes), "--public-host", s.host, "--open", "--range", strconv.Itoa(public),
		"--max-clients", "100000", "--max-clients-per-address", "100000", "--data-dir", filepath.Join(s.folder, "server"),
	}
	web := ""
	if s.exposes.host != "" {
		port, err := s.ports.free()
		if err != nil {
			return "", err
		}
		web = s.at(port)
		arguments = append(arguments, "--http", web)
	}
	invitation, err := s.run(ctx, s.server, invitationLine, arguments...)
	if err != nil {
		return "", err
	}
	config, err := s.write("node.json", apquicNode(s.exposes, s.service))
	if err != nil {
		return "", err
	}
	lease, err := s.run(ctx, s.home, leaseLine, node, "-c", config, "--server", invitation[0], "--data-dir", filepath.Join(s.folder, "node"))
	if err != nil {
		return "", err
	}
	return cmp.Or(web, lease[1]), nil
}

// apquicNode is the configuration of a node.
func apquicNode(e exposure, service string) string {
	keys := ""
	switch {
	case e.udp:
		service = "udp://" + service
	case e.host != "":
		keys = fmt.Sprintf(`, "domain": %q, "tls": "pass", "http": "serve"`, e.host)
	case e.limit > 0:
		keys = fmt.Sprintf(`, "maxRateIn": "%[1]dB", "maxRateOut": "%[1]dB"`, e.limit)
	case e.proxy:
		keys = `, "proxyProtocol": 2`
	}
	return fmt.Sprintf(`{"services": {"bench": {"upstream": %q%s}}}`, service, keys)
}
