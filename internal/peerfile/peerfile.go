// Package peerfile remembers in a file where the nodes of a server were.
//
// It must not decide what becomes of them.
package peerfile

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"apquic/certs"
	"apquic/internal/cli"
	"apquic/quicproxy/server"
)

// File stores where the nodes were, an address and a node id per line. It is only a hint, so it is
// neither synced nor checked: invalid lines are skipped.
type File string

// Load implements server.Peers.
func (f File) Load() (peers []server.Peer, err error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(text)) {
		address, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		at, badAddress := netip.ParseAddrPort(address)
		node, badNode := certs.ParseNodeID(id)
		if badAddress == nil && badNode == nil {
			peers = append(peers, server.Peer{Node: node, Address: at})
		}
	}
	return peers, err
}

// Save implements server.Peers.
func (f File) Save(peers []server.Peer) error {
	var text strings.Builder
	for _, peer := range peers {
		fmt.Fprintln(&text, peer.Address, peer.Node)
	}
	return cli.ReplaceFile(string(f), []byte(text.String()))
}
