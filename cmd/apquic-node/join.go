package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"apquic/certs"
	"apquic/internal/cli"
	"apquic/internal/hint"
	"apquic/internal/settings"
	"apquic/quicproxy/node"
)

const (
	// maxInvitationFile is larger than any invitation, with an editor's extras.
	maxInvitationFile = 4096
	// quietTime is how long a person sees no output.
	quietTime = 2 * time.Second
)

// join admits the node to a server and remembers the server; with replace even if the node has joined another
// one.
func join(c *call, replace, asJSON bool) error {
	if len(c.Operands) == 1 {
		invitation, err := readInvitation(c.Operands[0], os.Stdin)
		if err != nil {
			return cli.UsageError("apquic-node", err)
		}
		c.Settings.Server = invitation
	}
	server, err := findServer(&c.Settings)
	if err != nil {
		return err
	}
	if server.replaces() && !replace {
		before := server.stored.Invitation
		return hint.Add(fmt.Errorf("not joined: this node has already joined another server, %s with the id %v", before.Address(), before.Server),
			"use another --data-dir for the new server and run a node for each, or give up the old one with --replace")
	}
	if err := c.Settings.ValidateJoin(); err != nil {
		return cli.UsageError("apquic-node", err)
	}
	key, err := nodeKey(c.Settings)
	if err != nil {
		return err
	}
	ctx, cancel := cli.UntilStopped()
	defer cancel()
	node, err := newNode(c.Settings, key, server, func(*node.Config) {})
	if err != nil {
		return err
	}
	waiting := time.AfterFunc(quietTime, func() {
		fmt.Fprintf(c.Stderr, "waiting for the server at %s\n", server.known.Invitation.Address())
	})
	welcome, err := node.Join(ctx)
	waiting.Stop()
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("not joined: stopped before the server answered")
	case err != nil:
		return fmt.Errorf("not joined: %w", err)
	}
	if err := server.welcomed(welcome); err != nil {
		return fmt.Errorf("the server has admitted this node, but that cannot be saved: %w", err)
	}
	if asJSON {
		return cli.WriteJSON(c.Stdout, membershipTold{Server: server.known.Invitation.Address(), ID: key.ID(), Name: welcome.Name, Joined: welcome.Joined})
	}
	fmt.Fprint(c.Stdout, joined(c.Settings, key.ID(), welcome, server))
	return nil
}

// membershipTold is what join says to programs.
type membershipTold struct {
	Server string       `json:"server"` // its address
	ID     certs.NodeID `json:"id"`     // of this node
	Name   string       `json:"name,omitempty"`
	Joined bool         `json:"joined"` // just now; false: it was admitted before
}

// readInvitation reads the operand of join: an invitation, - for stdin, or a file.
func readInvitation(operand string, stdin io.Reader) (certs.Invitation, error) {
	if strings.Contains(operand, "://") {
		return certs.ParseInvitation(operand)
	}
	from := stdin
	if operand != "-" {
		file, err := os.Open(operand)
		if errors.Is(err, os.ErrNotExist) {
			return certs.ParseInvitation(operand) // its error says what the operand is instead
		}
		if err != nil {
			return certs.Invitation{}, fmt.Errorf("reading the invitation: %w", err)
		}
		defer file.Close()
		from = file
	}
	// The first non-empty line: after pasting into a terminal nobody has to end the input.
	lines := bufio.NewScanner(io.LimitReader(from, maxInvitationFile))
	line := ""
	for line == "" && lines.Scan() {
		line = strings.TrimSpace(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return certs.Invitation{}, fmt.Errorf("reading the invitation: %w", err)
	}
	return certs.ParseInvitation(line)
}

// joined says what was done and what comes next.
func joined(config settings.Node, id certs.NodeID, welcome node.Welcome, server *membership) string {
	var b strings.Builder
	how := "was already admitted"
	if welcome.Joined {
		how = "is now admitted"
	}
	fmt.Fprintf(&b, "joined %s: node %v", server.known.Invitation.Address(), id)
	if welcome.Name != "" {
		fmt.Fprintf(&b, ", called %s there,", welcome.Name)
	}
	fmt.Fprintf(&b, " %s\nthe server is remembered in %s; from now on, without an invitation: apquic-node ", how, server.path)
	if config.DataDir != settings.DefaultNode().DataDir {
		fmt.Fprintf(&b, "--data-dir %s ", config.DataDir)
	}
	fmt.Fprintln(&b, "--upstream 8080")
	fmt.Fprintln(&b, "then apquic-node status --dial says whether visitors get through the server's firewall")
	return b.String()
}
