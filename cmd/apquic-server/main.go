// Apquic-server leases public ports to nodes behind NAT and relays the connections that arrive there. It only
// wires the packages of this module together.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"apquic/internal/cli"
	"apquic/internal/dashboard"
	"apquic/internal/settings"
	"apquic/internal/settings/limits"
)

func main() {
	// quic-go's own warning about socket buffers is for programmers; advise has one for operators.
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	os.Exit(program().Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

type call = cli.Call[settings.Server]

func program() *cli.Program[settings.Server] {
	o := new(options)
	return &cli.Program[settings.Server]{
		Name: "apquic-server", Help: help,
		Defaults: settings.DefaultServer, Load: settings.LoadServer, Validate: settings.Server.Validate,
		Bind: func(into *settings.Server, flags, others *pflag.FlagSet) {
			into.AddFlags(flags)
			o.bind(others)
		},
		Commands: map[string]func(*call) error{
			"":           o.command(0, "", func(c *call, _ *options) error { return serve(c) }),
			"check":      o.command(0, "", func(c *call, _ *options) error { return check(c) }),
			"id":         o.command(0, "", func(c *call, _ *options) error { return printID(c) }),
			"invite":     o.command(0, "json uses expires port qr", invite),
			"invitation": o.command(0, "withdraw json", invitations),
			"allow":      o.command(1, "json", allow),
			"revoke":     o.command(1, "json", revoke),
			"reload":     o.command(0, "json", reloads),
			"kick":       o.command(1, "json", kick),
			"nodes":      o.command(0, "json watch", nodes),
			"status":     o.command(0, "json watch", status),
			"services":   o.command(0, "json watch", services),
			"relays":     o.command(0, "json watch node service limit", relays),
			"top":        o.command(0, "json watch", top),
			"totals":     o.command(0, "json watch service limit days by", listTotals),
			"explain":    o.command(1, "json", explain),
			"pin":        o.command(2, "json", pin),
			"unpin":      o.command(2, "json", unpin),
			"limit":      o.command(0, "json clear watch", limit),
			"completion": o.command(0, "", func(c *call, _ *options) error { return c.Completion() }),
			"release":    o.command(1, "json", release),
			"events":     o.command(0, "watch json", printEvents),
			"drain":      o.command(0, "json", drain),
			"dashboard": o.command(0, "json", func(c *call, o *options) error {
				return dashboard.Command(context.Background(), c.Settings.DataDir, o.json, c.Stdout, c.Stderr)
			}),
			"rotate-key": o.command(0, "", func(c *call, _ *options) error { return rotateKey(c) }),
			"backup":     o.command(1, "passphrase-file", save),
			"restore":    o.command(1, "passphrase-file", restore),
		},
		Operands: map[string]int{"invite": 1, "allow": 2, "revoke": 1, "kick": 1, "totals": 1, "explain": 1, "release": 2, "pin": 3, "unpin": 2, "limit": 1 + len(limits.Keys()), "rotate-key": 1, "backup": 1, "restore": 1, "completion": 1},
		Complete: complete,
	}
}

// check prints what the settings mean.
func check(c *call) error {
	if err := c.Validate(); err != nil {
		return err
	}
	fmt.Fprint(c.Stdout, c.Settings.Describe())
	return nil
}

// printID does not make a key, which would be another server's.
func printID(c *call) error {
	key, err := existingKey(c.Settings)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout, key.ID())
	return nil
}
