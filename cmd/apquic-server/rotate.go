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
	previousKeyFile = "previous_key" // the one before the present one
)

// rotateKey does one step of the change to another key, or says which step is next.
func rotateKey(c *call) error {
	config := c.Settings
	if !config.Key.IsZero() {
		return cli.UsageError("apquic-server", errors.New("this server's key is in its configuration: remove it there to keep the key in the data directory"))
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

// nextID is zero if no key is announced.
func nextID(config settings.Server) (certs.NodeID, error) { return idIn(config, nextKeyFile) }

// formerID is zero if the server has no former key, or its file was removed.
func formerID(config settings.Server) (certs.NodeID, error) { return idIn(config, previousKeyFile) }

// idIn is the id of the key in a file of the data directory; zero if there is no file.
func idIn(config settings.Server, file string) (certs.NodeID, error) {
	key, err := certs.LoadKeyIfThere(filepath.Join(config.DataDir, file))
	return key.ID(), err
}

func tellRotation(c *call, present certs.NodeID) error {
	next, err := nextID(c.Settings)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, "this server's key is that of %v\n", present)
	if next.IsZero() {
		fmt.Fprintln(c.Stdout, "no other key is announced; apquic-server rotate-key announce starts a change")
		return nil
	}
	fmt.Fprintf(c.Stdout, "that of %v is announced; apquic-server rotate-key switch, then a restart, changes to it\n", next)
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
		return hint.Add(errors.New("no next key is announced: nodes would not recognise the server"), "run apquic-server rotate-key announce first")
	}
	in := func(name string) string { return filepath.Join(c.Settings.DataDir, name) }
	if _, err := certs.SucceedKey(in(keyFile), in(nextKeyFile), in(previousKeyFile)); err != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, `the key is that of %v from the server's next start on
nodes that were told follow by themselves; others need a new invitation
invitations with the id %v work only for nodes that know of the change
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
	fmt.Fprintln(c.Stdout, "the key stays; nodes are told when they connect after the server's next start")
	return nil
}
