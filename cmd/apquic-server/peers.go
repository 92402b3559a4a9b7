package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"apquic/internal/cli"
)

// peerFile remembers where the nodes were, one address a line. It is no more than a hint, so it is neither
// synced nor checked: what is no address is left out.
type peerFile string

func (f peerFile) Load() (peers []netip.AddrPort, err error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(text)) {
		if peer, err := netip.ParseAddrPort(strings.TrimSpace(line)); err == nil {
			peers = append(peers, peer)
		}
	}
	return peers, err
}

func (f peerFile) Save(peers []netip.AddrPort) error {
	var text strings.Builder
	for _, peer := range peers {
		fmt.Fprintln(&text, peer)
	}
	return cli.ReplaceFile(string(f), []byte(text.String()))
}
