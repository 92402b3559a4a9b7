package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"apquic/admin"
	"apquic/admin/show"
	"apquic/internal/cli"
	"apquic/internal/settings/limits"
)

// pin makes a port that of a service for good.
func pin(c *call, o *options) error {
	request := admin.PinRequest{Node: c.Operands[0], Service: c.Operands[1]}
	if len(c.Operands) > 2 {
		port, err := strconv.ParseUint(c.Operands[2], 10, 16)
		if err != nil || port == 0 {
			return cli.UsageError("apquic-server", fmt.Errorf("pin: %.20q is no port: want a number from 1 to 65535", c.Operands[2]))
		}
		request.Port = uint16(port)
	}
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		pinned, err := operations.Pin(ctx, request)
		if err != nil {
			return err
		}
		words := fmt.Sprintf("The port %d is that of %s for good; apquic-server unpin ends that.", pinned.Port, pinned.Service)
		if pinned.Reconnects {
			words += "\nThe node's session has ended, so that it connects again and hears of its new port. Running connections go on if the node resumes them in time."
		}
		return tell(c, o, pinned, words)
	})
}

func unpin(c *call, o *options) error {
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		service, err := operations.Unpin(ctx, admin.UnpinRequest{Node: c.Operands[0], Service: c.Operands[1]})
		if err != nil {
			return err
		}
		return tell(c, o, service, fmt.Sprintf("The port %d is that of %s as long as its lease.", service.Port, service.Service))
	})
}

// limit says what a node may have, or without one lists what was said.
func limit(c *call, o *options) error {
	if len(c.Operands) == 0 {
		if o.clear {
			return cli.UsageError("apquic-server", errors.New("limit --clear: want a node"))
		}
		return look(c, o, func(ctx context.Context, operations admin.Operations) (any, [][]string, error) {
			list, err := operations.ListLimits(ctx)
			return list, show.Limits(list), err
		})
	}
	words, err := limits.Pairs(c.Operands[1:])
	if err != nil {
		return cli.UsageError("apquic-server", err)
	}
	request := admin.LimitRequest{Node: c.Operands[0], Clear: o.clear, Limits: words}
	return with(c, func(ctx context.Context, operations admin.Operations) error {
		limited, err := operations.Limit(ctx, request)
		if err != nil {
			return err
		}
		said := limited.Limits.String()
		if said == "" {
			said = "what the rules and the settings say"
		}
		return tell(c, o, limited, fmt.Sprintf("For %s holds from now on: %s", show.Name(limited.Name, limited.ID), said))
	})
}
