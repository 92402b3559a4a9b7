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
	"apquic/quicproxy/node"
)

const natBindingsName = "nat_bindings.json"

// natBindingsFile stores what was learned about NATs. It may be lost, so it is not synced.
type natBindingsFile string

// storedNATBinding is a node.NATBinding as in the file.
type storedNATBinding struct {
	Network string    `json:"network"`
	Proven  int64     `json:"provenSeconds"`
	Failed  int64     `json:"failedSeconds,omitempty"`
	Found   time.Time `json:"found"`
	Losses  int       `json:"losses,omitempty"`
}

func (f natBindingsFile) Load() ([]node.NATBinding, error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var stored []storedNATBinding
	if err := json.Unmarshal(text, &stored); err != nil {
		return nil, fmt.Errorf("%s: %w", string(f), err)
	}
	var known []node.NATBinding
	for _, b := range stored {
		if b.Proven < 0 || b.Proven > maxSeconds || b.Failed < 0 || b.Failed > maxSeconds || b.Losses < 0 {
			return nil, fmt.Errorf("%s: impossible values for %q", string(f), b.Network)
		}
		known = append(known, node.NATBinding{
			Network: b.Network, Proven: time.Duration(b.Proven) * time.Second, Failed: time.Duration(b.Failed) * time.Second,
			Found: b.Found, Losses: b.Losses,
		})
	}
	return known, nil
}

// maxSeconds is more than any idle time tried.
const maxSeconds = 3600

func (f natBindingsFile) Save(known []node.NATBinding) error {
	stored := make([]storedNATBinding, 0, len(known))
	for _, b := range known {
		stored = append(stored, storedNATBinding{
			Network: b.Network, Proven: int64(b.Proven / time.Second), Failed: int64(b.Failed / time.Second),
			Found: b.Found.UTC().Round(time.Second), Losses: b.Losses,
		})
	}
	text, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return err // a node whose key is in the configuration may not have a directory yet
	}
	return cli.ReplaceFile(string(f), append(text, '\n'))
}
