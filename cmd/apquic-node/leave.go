package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/cli"
	"apquic/internal/control"
	"apquic/internal/hint"
	"apquic/internal/nodeapi"
	"apquic/internal/settings"
	"apquic/quicproxy"
	"apquic/quicproxy/node"
)

const (
	// releaseTime bounds the wait for the server, and releasePause is the time between the first two requests, which
	// doubles from one to the next: the server may not have seen yet that the services are no longer offered.
	releaseTime, releasePause = 10 * time.Second, 100 * time.Millisecond
	// leavePatience is how long a running node may take.
	leavePatience = releaseTime + control.Timeout
)

// left is what came of leaving a server.
type left struct {
	Server   string       `json:"server"`      // its address
	ID       certs.NodeID `json:"id,omitzero"` // of this node
	Released bool         `json:"released"`    // the server has given up the leases
	Named    bool         `json:"named"`       // the settings of the running program still name the server
	Trouble  string       `json:"error,omitempty"`
	Hint     string       `json:"hint,omitempty"`
}

// leave gives up the leases of the node and forgets its server, through the running node if there is one.
func leave(c *call, yes, force, asJSON bool) error {
	if c.Settings.DataDir == "" {
		return cli.UsageError("apquic-node", errors.New("leave needs --data-dir"))
	}
	given := !c.Settings.Server.Server.IsZero()
	server, err := findServer(&c.Settings)
	if err != nil {
		return err
	}
	if server.stored.Invitation.Server.IsZero() && !given {
		return hint.Add(fmt.Errorf("no server is remembered in %s", c.Settings.DataDir), "name the directory of the node with --data-dir")
	}
	address := server.known.Invitation.Address()
	if !yes {
		if err := agrees(os.Stdin, c.Stderr, address); err != nil {
			return err
		}
	}
	ctx, cancel := cli.UntilStopped()
	defer cancel()
	outcome, err := leaveThrough(ctx, c.Settings.DataDir, force)
	if _, none := errors.AsType[*control.NotRunningError](err); none {
		outcome, err = leaveAlone(ctx, c.Settings, server, force)
	}
	switch {
	case err != nil:
		return fmt.Errorf("not left: %w", err)
	case asJSON:
		return cli.WriteJSON(c.Stdout, outcome)
	}
	outcome.write(c.Stdout, c.Settings.DataDir)
	return nil
}

// agrees asks somebody at a terminal.
func agrees(from *os.File, prompt io.Writer, address string) error {
	if !term.IsTerminal(int(from.Fd())) {
		return cli.UsageError("apquic-node", errors.New("leave asks somebody at a terminal; --yes answers for them"))
	}
	fmt.Fprintf(prompt, "The server at %s gives the ports and domains of this node to others.\nLeave it? [y/N] ", hint.Printable(address, 0))
	answer, err := bufio.NewReader(io.LimitReader(from, maxInvitationFile)).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "y" && answer != "yes" {
		return errors.New("not left: nothing has changed")
	}
	return nil
}

// leaveThrough asks the running node to leave.
func leaveThrough(ctx context.Context, directory string, force bool) (outcome left, err error) {
	client, err := control.Connect(ctx, directory)
	if err != nil {
		return outcome, err
	}
	target := nodeapi.LeavePath
	if force {
		target += "?force=true"
	}
	status, content, err := client.Ask(ctx, http.MethodPost, target, nil, leavePatience)
	if err != nil {
		return outcome, err
	}
	if status != http.StatusOK {
		return outcome, fmt.Errorf("the running node cannot leave: %s", http.StatusText(status))
	}
	if err := json.Unmarshal(content, &outcome); err != nil {
		return outcome, fmt.Errorf("the answer of the running node: %w", err)
	}
	switch {
	case outcome.Trouble != "":
		return outcome, hint.Add(errors.New(outcome.Trouble), "%s", outcome.Hint)
	case outcome.Server == "":
		return outcome, errors.New("the running node did not say what came of it")
	}
	return outcome, nil
}

// leaveAlone leaves while no process serves the node's services; with force even if the server cannot be told.
func leaveAlone(ctx context.Context, config settings.Node, server *membership, force bool) (outcome left, err error) {
	key, err := nodeKeyIfThere(config)
	if err != nil {
		return outcome, err
	}
	outcome.Server, outcome.ID = server.known.Invitation.Address(), key.ID()
	err = persist(ctx, func(ctx context.Context) error {
		n, err := newNode(config, key, server, func(into *node.Config) { into.JoinSecret = nil })
		if err != nil {
			return err
		}
		return n.Leave(ctx)
	})
	if outcome.Released = err == nil; err != nil && !force {
		return outcome, orForce(err)
	}
	return outcome, server.forget(config.DataDir)
}

// nodeKeyIfThere is nodeKey, but makes none.
func nodeKeyIfThere(config settings.Node) (certs.PrivateKey, error) {
	if !config.Key.IsZero() {
		return config.Key, nil
	}
	path := filepath.Join(config.DataDir, keyName)
	key, err := certs.LoadKeyIfThere(path)
	if err == nil && key.IsZero() {
		err = hint.Add(fmt.Errorf("there is no key of a node in %s, so nobody can tell the server who leaves", path), "name the directory of the node with --data-dir")
	}
	return key, err
}

// orForce says what to do if the server cannot be told.
func orForce(err error) error {
	return hint.Add(err, "try again when the server can be reached; or --force has the node forget it, while it keeps the ports for the node until their time is over")
}

// persist asks the server to give up all leases of the node, until it does so or releaseTime is over.
func persist(ctx context.Context, leave func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	for pause := releasePause; ; pause *= 2 {
		err := leave(ctx)
		if err == nil || !isLate(err) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// isLate reports whether the server may not have seen yet that the process with the services has ended.
func isLate(err error) bool {
	failure, ok := errors.AsType[*quicproxy.FailureError](err)
	return ok && (failure.RetryAfter > 0 || failure.Code == framing.ErrorReplaced)
}

// write says what was done to a person.
func (l left) write(to io.Writer, directory string) {
	if l.Released {
		fmt.Fprintf(to, "left %s: it has released the ports and domains of node %v, except what its operator pinned\n", hint.Printable(l.Server, 0), l.ID)
	} else {
		fmt.Fprintf(to, "forgot %s, which was not told: it keeps the ports and domains of node %v until their time is over\n", hint.Printable(l.Server, 0), l.ID)
	}
	fmt.Fprintf(to, "the key of the node stays in %s; the server still knows it, until apquic-server revoke there\n", directory)
	if l.Named {
		fmt.Fprintln(to, "the settings of the node still name the server: remove it there, or the node comes back when it is started again")
	}
}
