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
	// patience is how long a person looks at nothing.
	patience = 2 * time.Second
)

// join lets the node in at a server and keeps that for later; replace: also if it has joined another one.
func join(c *call, replace bool) error {
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
		return hint.Add(fmt.Errorf("not joined: this node has joined another server before, %s with the id %v", before.Address(), before.Server),
			"give the new one a directory of its own with --data-dir, and run a node for each; or give the old one up with --replace")
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
	waiting := time.AfterFunc(patience, func() {
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
		return fmt.Errorf("the server has admitted this node, but that cannot be kept: %w", err)
	}
	fmt.Fprint(c.Stdout, joined(c.Settings, key.ID(), welcome, server))
	return nil
}

// readInvitation reads what stands for an invitation on the command line: itself, - for what comes on stdin, or a file.
func readInvitation(operand string, stdin io.Reader) (certs.Invitation, error) {
	if strings.Contains(operand, "://") {
		return certs.ParseInvitation(operand)
	}
	from := stdin
	if operand != "-" {
		file, err := os.Open(operand)
		if errors.Is(err, os.ErrNotExist) {
			return certs.ParseInvitation(operand) // which says what it is instead, and does not repeat a secret
		}
		if err != nil {
			return certs.Invitation{}, fmt.Errorf("reading the invitation: %w", err)
		}
		defer file.Close()
		from = file
	}
	// The first line with something on it: who pastes into a terminal need not end the input.
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

// joined says what was done, and what comes next.
func joined(config settings.Node, id certs.NodeID, welcome node.Welcome, server *membership) string {
	var b strings.Builder
	how := "was admitted before"
	if welcome.Joined {
		how = "is admitted from now on"
	}
	fmt.Fprintf(&b, "joined %s: node %v", server.known.Invitation.Address(), id)
	if welcome.Name != "" {
		fmt.Fprintf(&b, ", called %s there,", welcome.Name)
	}
	fmt.Fprintf(&b, " %s\nthe server is kept in %s; next, without an invitation: apquic-node ", how, server.path)
	if config.DataDir != settings.DefaultNode().DataDir {
		fmt.Fprintf(&b, "--data-dir %s ", config.DataDir)
	}
	fmt.Fprintln(&b, "--upstream 8080")
	fmt.Fprintln(&b, "then apquic-node status --dial says whether visitors get through the server's firewall")
	return b.String()
}
