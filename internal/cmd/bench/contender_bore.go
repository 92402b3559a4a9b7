package main

import (
	"context"
	"regexp"
	"strconv"
)

var boreListening = regexp.MustCompile(`server listening`)

// findBore: never encrypted. Its server always uses the same port for nodes, on all addresses, so two cannot
// run at once.
func findBore(peers string) ([]contender, error) {
	program, err := lookup(peers, "bore")
	if err != nil || program == "" {
		return nil, err
	}
	version, err := versionOf(program)
	return []contender{{name: "bore", version: version, start: func(ctx context.Context, s *site) (string, error) {
		public, err := s.ports.free()
		if err != nil {
			return "", err
		}
		service, err := s.servicePort()
		if err != nil {
			return "", err
		}
		if _, err := s.run(ctx, s.server, boreListening, program, "server", "--secret", peerSecret); err != nil {
			return "", err
		}
		_, err = s.run(ctx, s.home, nil, boreClient(program, s.host, service, public)...)
		return s.at(public), err
	}}}, err
}

func boreClient(program, host string, service, public int) []string {
	return []string{program, "local", strconv.Itoa(service), "--local-host", "127.0.0.1", "--to", host,
		"--port", strconv.Itoa(public), "--secret", peerSecret}
}
