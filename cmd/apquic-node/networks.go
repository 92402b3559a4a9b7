package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"apquic/internal/cli"
	"apquic/quicproxy"
)

const networksName = "networks.json"

// networksFile remembers what was learned of networks. It may be lost, so it is not synced.
type networksFile string

// storedNetwork is a quicproxy.Network as it stands in the file.
type storedNetwork struct {
	Name   string    `json:"network"`
	Proven int64     `json:"provenSeconds"`
	Failed int64     `json:"failedSeconds,omitempty"`
	Found  time.Time `json:"found"`
	Losses int       `json:"losses,omitempty"`
}

func (f networksFile) Load() ([]quicproxy.Network, error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var stored []storedNetwork
	if err := json.Unmarshal(text, &stored); err != nil {
		return nil, fmt.Errorf("%s: %w", string(f), err)
	}
	var known []quicproxy.Network
	for _, n := range stored {
		if n.Proven < 0 || n.Proven > maxSeconds || n.Failed < 0 || n.Failed > maxSeconds || n.Losses < 0 {
			return nil, fmt.Errorf("%s: no node has written this of %q", string(f), n.Name)
		}
		known = append(known, quicproxy.Network{
			Name: n.Name, Proven: time.Duration(n.Proven) * time.Second, Failed: time.Duration(n.Failed) * time.Second,
			Found: n.Found, Losses: n.Losses,
		})
	}
	return known, nil
}

// maxSeconds is longer than any idle time that is tried.
const maxSeconds = 3600

func (f networksFile) Save(known []quicproxy.Network) error {
	stored := make([]storedNetwork, 0, len(known))
	for _, n := range known {
		stored = append(stored, storedNetwork{
			Name: n.Name, Proven: int64(n.Proven / time.Second), Failed: int64(n.Failed / time.Second),
			Found: n.Found.UTC().Round(time.Second), Losses: n.Losses,
		})
	}
	text, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return err // a node whose key is in the configuration may have no directory yet
	}
	return cli.ReplaceFile(string(f), append(text, '\n'))
}
