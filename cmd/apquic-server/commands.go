package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"apquic/admin"
	"apquic/admin/show"
	"apquic/internal/cli"
	"apquic/internal/domain"
	"apquic/internal/reload"
	"apquic/internal/table"
)

// commandTime is how long a command may take.
const commandTime = time.Minute

// with calls do with the operations on the data directory.
func with(c *call, do func(context.Context, admin.Operations) error) error {
	if err := c.Validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	operations, done, err := operations(ctx, c.Settings)
	if err != nil {
		return err
	}
	defer done()
	return do(ctx, operations)
}

// invite prints an invitation, which cannot be printed again.
func invite(c *call, o *options) error {
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		request := admin.InviteRequest{Uses: o.uses, Seconds: int64(time.Duration(o.expires) / time.Second), Port: o.port}
		if o.uses < 1 {
			return cli.UsageError("apquic-server", errors.New("--uses: want a number of at least 1"))
		}
		if len(c.Operands) > 0 {
			request.Name = c.Operands[0]
		}
		invited, err := operations.Invite(ctx, request)
		if err == nil {
			err = tell(c, o, invited, invited.Invitation)
		}
		if err != nil || !o.qr {
			return err
		}
		code, err := show.QRCode(invited.Invitation)
		fmt.Fprint(c.Stderr, code)
		return err
	})
}

// invitations lists the open invitations, or withdraws one.
func invitations(c *call, o *options) error {
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		if o.withdraw != "" {
			if err := operations.Withdraw(ctx, admin.WithdrawRequest{Name: o.withdraw}); err != nil {
				return err
			}
			return tell(c, o, struct{}{}, fmt.Sprintf("The invitation %s no longer admits anybody.", o.withdraw))
		}
		list, err := operations.ListInvitations(ctx)
		if err != nil {
			return err
		}
		if o.json {
			return cli.WriteJSON(c.Stdout, list)
		}
		return table.Write(c.Stdout, show.Invitations(list))
	})
}

func allow(c *call, o *options) error {
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		request := admin.AllowRequest{ID: c.Operands[0]}
		if len(c.Operands) > 1 {
			request.Name = c.Operands[1]
		}
		node, err := operations.Allow(ctx, request)
		if err != nil {
			return err
		}
		return tell(c, o, node, nameOf(node)+" is allowed.")
	})
}

func revoke(c *call, o *options) error {
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		revoked, err := operations.Revoke(ctx, admin.RevokeRequest{Node: c.Operands[0]})
		if err != nil {
			return err
		}
		words := fmt.Sprintf("%s is shut out (%s ended); nobody else gets its ports for 30 days.", nameOf(revoked.Node), count(revoked.Connections, "connection"))
		if revoked.Invitation != "" {
			words += fmt.Sprintf("\nIts invitation still admits other nodes, so its owner can return with a new key; apquic-server invitation --withdraw %s ends that.", revoked.Invitation)
		}
		return tell(c, o, revoked, words)
	})
}

func kick(c *call, o *options) error {
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		kicked, err := operations.Kick(ctx, admin.KickRequest{Node: c.Operands[0]})
		if err != nil {
			return err
		}
		return tell(c, o, kicked, fmt.Sprintf("The session of %s has ended (%s with it). The node may come back at once; apquic-server revoke shuts it out.",
			nameOf(kicked.Node), count(kicked.Connections, "connection")))
	})
}

// reloads has the running server read its file again.
func reloads(c *call, o *options) error {
	return reload.Command(context.Background(), c.Settings.DataDir, o.json, c.Stdout)
}

func release(c *call, o *options) error {
	request := admin.ReleaseRequest{Node: c.Operands[0]}
	if len(c.Operands) > 1 {
		request.Service = c.Operands[1]
	} else {
		port, err := strconv.ParseUint(c.Operands[0], 10, 16)
		name, noName := domain.Parse(c.Operands[0])
		switch {
		case err == nil && port > 0:
			request = admin.ReleaseRequest{Port: uint16(port)}
		case noName == nil:
			request = admin.ReleaseRequest{Domain: name}
		default:
			return cli.UsageError("apquic-server", errors.New("release: want a node and its service, or a port or domain"))
		}
	}
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		service, err := operations.Release(ctx, request)
		if err != nil {
			return err
		}
		return tell(c, o, service, fmt.Sprintf("Now %s is free.", service.Public()))
	})
}

// tell prints what a change did, in words or as JSON.
func tell(c *call, o *options, answer any, words string) error {
	if o.json {
		return cli.WriteJSON(c.Stdout, answer)
	}
	_, err := fmt.Fprintln(c.Stdout, words)
	return err
}

func nameOf(n admin.Node) string { return cmp.Or(n.Name, n.ID.String()) }

// count says how many of something there are.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
