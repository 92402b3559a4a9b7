package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"apquic/admin"
	"apquic/internal/settings/limits"
)

// completeTime is how long a person may wait for the names of nodes.
const completeTime = time.Second

// complete returns the words that may follow, of which the running server knows some.
func complete(c *call, command, flag string) (words []string) {
	ctx, cancel := context.WithTimeout(context.Background(), completeTime)
	defer cancel()
	ask := func(from func(*admin.Client)) []string {
		if client, err := admin.Connect(ctx, c.Settings.DataDir); err == nil {
			from(client)
		}
		slices.Sort(words)
		return slices.Compact(words)
	}
	switch {
	case command == "rotate-key" && flag == "":
		return []string{"announce", "cancel", "switch"}
	case command == "limit" && flag == "" && len(c.Operands) > 0:
		for _, key := range limits.Keys() {
			words = append(words, key+"=")
		}
		return words
	case flag == "withdraw":
		return ask(func(client *admin.Client) {
			open, _ := client.ListInvitations(ctx)
			for _, o := range open {
				words = append(words, o.Name)
			}
		})
	case flag == "service", flag == "" && slices.Contains([]string{"pin", "release", "unpin"}, command) && len(c.Operands) == 1:
		return ask(func(client *admin.Client) {
			status, _ := client.Status(ctx)
			for _, s := range status.Services {
				if flag != "" || cmp.Or(s.Name, s.Node.String()) == c.Operands[0] {
					words = append(words, s.Service)
				}
			}
		})
	case flag == "node", flag == "" && slices.Contains([]string{"allow", "explain", "totals", "kick", "limit", "pin", "revoke", "release", "unpin"}, command) && len(c.Operands) == 0:
		return ask(func(client *admin.Client) {
			nodes, _ := client.ListNodes(ctx)
			for _, n := range nodes {
				if command != "kick" || n.State == admin.Online {
					words = append(words, nameOf(n))
				}
			}
		})
	}
	return nil
}
