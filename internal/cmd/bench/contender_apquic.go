package main

import (
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
	leaseLine      = regexp.MustCompile(`(?:^|\s)tcp://(\S+) -> `)
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
	return contender{name: name, version: version, start: func(ctx context.Context, s *site) (string, error) {
		return startApquic(ctx, s, server, node)
	}}, err
}

func startApquic(ctx context.Context, s *site, server, node string) (string, error) {
	nodes, public, err := s.twoPorts()
	if err != nil {
		return "", err
	}
	invitation, err := s.run(ctx, s.server, invitationLine, server, "--listen", s.at(nodes), "--public-host", s.host,
		"--open", "--range", strconv.Itoa(public), "--max-clients", "100000", "--max-clients-per-address", "100000", "--data-dir", filepath.Join(s.folder, "server"))
	if err != nil {
		return "", err
	}
	lease, err := s.run(ctx, s.home, leaseLine, node, "--server", invitation[0], "--upstream", "bench="+s.service,
		"--data-dir", filepath.Join(s.folder, "node"))
	if err != nil {
		return "", err
	}
	return lease[1], nil
}
