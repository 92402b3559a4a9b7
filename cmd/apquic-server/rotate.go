package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"apquic/certs"
	"apquic/internal/cli"
	"apquic/internal/hint"
	"apquic/internal/settings"
)

const (
	nextKeyFile     = "next_key"     // announced to nodes
	previousKeyFile = "previous_key" // the one before
)

// rotateKey does one step of the change to another key, or says which is next.
func rotateKey(c *call) error {
	config := c.Settings
	if !config.Key.IsZero() {
		return cli.UsageError("apquic-server", errors.New("the key of this server is in its configuration: remove it from there to have it in the data directory"))
	}
	key, err := existingKey(config)
	if err != nil {
		return err
	}
	switch step := strings.Join(c.Operands, " "); step {
	case "":
		return tellRotation(c, key.ID())
	case "announce":
		return announceKey(c, key.ID())
	case "switch":
		return switchKey(c, key.ID())
	case "cancel":
		return cancelKey(c)
	default:
		return cli.UsageError("apquic-server", fmt.Errorf("rotate-key %s: want announce, switch or cancel", step))
	}
}

// nextID is nobody's if no key is announced.
func nextID(config settings.Server) (certs.NodeID, error) { return idIn(config, nextKeyFile) }

// formerID is nobody's if the server had no other key before, or nobody shall know.
func formerID(config settings.Server) (certs.NodeID, error) { return idIn(config, previousKeyFile) }

// idIn is the id of the key in a file of the data directory; nobody's if there is no file.
func idIn(config settings.Server, file string) (certs.NodeID, error) {
	key, err := certs.LoadKeyIfThere(filepath.Join(config.DataDir, file))
	return key.ID(), err
}

func tellRotation(c *call, present certs.NodeID) error {
	next, err := nextID(c.Settings)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, "the key of this server is that of %v\n", present)
	if next.IsZero() {
		fmt.Fprintln(c.Stdout, "no other one is announced; apquic-server rotate-key announce begins")
		return nil
	}
	fmt.Fprintf(c.Stdout, "announced is that of %v; apquic-server rotate-key switch, then a restart, changes to it\n", next)
	return nil
}

func announceKey(c *call, present certs.NodeID) error {
	next, err := certs.LoadOrCreateKey(filepath.Join(c.Settings.DataDir, nextKeyFile))
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, `the next key is that of %v
1. restart the server: it tells each node that connects, as long as it has the key of %v
2. when every node has connected once: apquic-server rotate-key switch
`, next.ID(), present)
	return nil
}

func switchKey(c *call, present certs.NodeID) error {
	next, err := nextID(c.Settings)
	if err != nil {
		return err
	}
	if next.IsZero() {
		return hint.Add(errors.New("no next key is announced: nodes would not know the server again"), "apquic-server rotate-key announce comes first")
	}
	in := func(name string) string { return filepath.Join(c.Settings.DataDir, name) }
	if _, err := certs.SucceedKey(in(keyFile), in(nextKeyFile), in(previousKeyFile)); err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, `the key is that of %v from the next start of the server on
nodes that were told follow by themselves; others need a new invitation
invitations with the id %v let only such nodes in that know of the change
`, next, present)
	return nil
}

func cancelKey(c *call) error {
	err := os.Remove(filepath.Join(c.Settings.DataDir, nextKeyFile))
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("no next key is announced")
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout, "the key stays; nodes are told when they connect after the next start of the server")
	return nil
}
