package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

var chiselListening = regexp.MustCompile(`Listening on `)

// findChisel: SSH in a WebSocket, which is always encrypted.
func findChisel(peers string) ([]contender, error) {
	program, err := lookup(peers, "chisel")
	if err != nil || program == "" {
		return nil, err
	}
	version, err := versionOf(program)
	return []contender{{name: "chisel", version: version, start: func(ctx context.Context, s *site) (string, error) {
		nodes, public, err := s.twoPorts()
		if err != nil {
			return "", err
		}
		if _, err := s.run(ctx, s.server, chiselListening, chiselServer(program, s.host, nodes)...); err != nil {
			return "", err
		}
		_, err = s.run(ctx, s.home, nil, chiselClient(program, s.at(nodes), s.at(public), s.service)...)
		return s.at(public), err
	}}}, err
}

func chiselServer(program, host string, port int) []string {
	return []string{program, "server", "--reverse", "--auth", "bench:" + peerSecret, "--host", host, "--port", strconv.Itoa(port)}
}

func chiselClient(program, server, public, service string) []string {
	return []string{program, "client", "--auth", "bench:" + peerSecret, "http://" + server, fmt.Sprintf("R:%s:%s", public, service)}
}
