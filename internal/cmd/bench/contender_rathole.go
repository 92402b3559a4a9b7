package main

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"regexp"
)

var ratholeListening = regexp.MustCompile(`Listening at `)

// findRathole: plain, as it comes, and encrypted.
func findRathole(peers string) ([]contender, error) {
	program, err := lookup(peers, "rathole")
	if err != nil || program == "" {
		return nil, err
	}
	version, err := versionOf(program)
	if err != nil {
		return nil, err
	}
	var found []contender
	for _, way := range []struct {
		name  string
		noise bool
	}{{"rathole noise", true}, {"rathole plain", false}} {
		found = append(found, contender{name: way.name, version: version, start: func(ctx context.Context, s *site) (string, error) {
			return startRathole(ctx, s, program, way.noise)
		}})
	}
	return found, nil
}

func startRathole(ctx context.Context, s *site, program string, noise bool) (string, error) {
	nodes, public, err := s.twoPorts()
	if err != nil {
		return "", err
	}
	var serverTransport, clientTransport string
	if noise {
		if serverTransport, clientTransport, err = ratholeNoise(); err != nil {
			return "", err
		}
	}
	serverFile, err := s.write("server.toml", ratholeServer(s.at(nodes), s.at(public), serverTransport))
	if err != nil {
		return "", err
	}
	if _, err := s.run(ctx, s.server, ratholeListening, program, "--server", serverFile); err != nil {
		return "", err
	}
	clientFile, err := s.write("client.toml", ratholeClient(s.at(nodes), s.service, clientTransport))
	if err != nil {
		return "", err
	}
	_, err = s.run(ctx, s.home, nil, program, "--client", clientFile)
	return s.at(public), err
}

func ratholeServer(nodes, public, transport string) string {
	return fmt.Sprintf("[server]\nbind_addr = %q\ndefault_token = %q\n\n[server.services.bench]\nbind_addr = %q\n%s",
		nodes, peerSecret, public, transport)
}

func ratholeClient(server, service, transport string) string {
	return fmt.Sprintf("[client]\nremote_addr = %q\ndefault_token = %q\n\n[client.services.bench]\nlocal_addr = %q\n%s",
		server, peerSecret, service, transport)
}

// ratholeNoise makes a key pair and the sections of both files that use it.
func ratholeNoise() (server, client string, err error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	text := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	const section = "\n[%[1]s.transport]\ntype = \"noise\"\n\n[%[1]s.transport.noise]\n%[2]s = %[3]q\n"
	return fmt.Sprintf(section, "server", "local_private_key", text(key.Bytes())),
		fmt.Sprintf(section, "client", "remote_public_key", text(key.PublicKey().Bytes())), nil
}
