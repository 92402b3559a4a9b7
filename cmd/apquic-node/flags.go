package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"apquic/certs"
	"apquic/internal/cli"
	"apquic/internal/config"
)

const help = `apquic-node makes services of this network reachable from the public internet: an apquic-server lends it
a public port for each, and every connection to that port comes here through one QUIC connection, which the
node opens itself. For each port it prints a line such as

  tcp://203.0.113.5:20000 -> tcp://127.0.0.1:80

Usage:
  apquic-node [flags]          run until SIGINT or SIGTERM
  apquic-node check -c FILE    say what a configuration file means, or every mistake in it
  apquic-node id               print this node's id; makes its key if there is none

Examples:
  # A web server on this machine. The server printed the invitation; the quotes keep its # from the shell.
  apquic-node --server 'apquic://ID@tunnel.example.com:8090#SECRET' --upstream 127.0.0.1:80

  # Several services, also of other machines in this network, and a socket of this one.
  apquic-node --server 'apquic://...' --upstream ssh=127.0.0.1:22 --upstream printer=192.168.1.30:631 \
      --upstream app=unix:/run/app.sock

  # The same from a file; say first what it means.
  apquic-node check -c /etc/apquic/node.json
  apquic-node -c /etc/apquic/node.json

Flags:
%s
Each flag but the last two can be set in the environment, --data-dir as APQUIC_DATA_DIR. A flag counts
more than the environment, the environment more than the file.

Exit status: 0 fine, 1 failed while running, 2 wrong usage, 3 wrong configuration.
`

// call is what the command line asks for.
type call struct {
	command       string
	path          string // of the configuration file; empty: none
	settings      config.Node
	upstreams     []config.Service // instead of the file's services, if there are any
	faults        []error          // of values that pflag must not repeat: an invitation has a secret
	help, version bool
}

// parse reads the command line, the environment and the file, in this order of weight.
func parse(args []string, lookup func(string) (string, bool)) (*call, error) {
	// The first pass only finds the file; the second lets flags and environment overrule it.
	c, err := parseOnto(config.DefaultNode(), args, lookup)
	if err != nil || c.help || c.version || c.path == "" {
		return c, err
	}
	settings := config.DefaultNode()
	if err := config.LoadNode(c.path, &settings); err != nil {
		return nil, cli.ConfigError(err)
	}
	return parseOnto(settings, args, lookup)
}

func parseOnto(settings config.Node, args []string, lookup func(string) (string, bool)) (*call, error) {
	c := &call{settings: settings}
	onlySettings, all := c.flags()
	if err := all.Parse(args); err != nil {
		return nil, cli.UsageError("apquic-node", err)
	}
	if c.help || c.version {
		return c, nil
	}
	if err := c.setCommand(all.Args()); err != nil {
		return nil, cli.UsageError("apquic-node", err)
	}
	if err := cli.ApplyEnvironment(onlySettings, "APQUIC", lookup); err != nil {
		return nil, cli.ConfigError(err)
	}
	if err := errors.Join(c.faults...); err != nil {
		return nil, cli.UsageError("apquic-node", err)
	}
	if len(c.upstreams) > 0 {
		c.settings.Services = config.NameServices(c.upstreams)
	}
	return c, nil
}

func (c *call) setCommand(words []string) error {
	if len(words) > 0 {
		c.command = words[0]
	}
	if _, known := commands[c.command]; !known || len(words) > 1 {
		names := slices.Sorted(maps.Keys(commands))[1:] // the first is the empty one
		return fmt.Errorf("%q is not a command; there are %s", strings.Join(words, " "), strings.Join(names, ", "))
	}
	return nil
}

// flags binds the flags to c: those that are settings, and all of them.
func (c *call) flags() (settings, all *pflag.FlagSet) {
	s := &c.settings
	settings = pflag.NewFlagSet("apquic-node", pflag.ContinueOnError)
	settings.SortFlags = false
	settings.StringVarP(&c.path, "config", "c", "", "read the settings from `FILE`")
	settings.Func("server", "the server's `INVITATION`, apquic://ID@HOST:PORT#SECRET", c.setServer)
	settings.Func("upstream", "`SERVICE` to make reachable: host:port, name=host:port or unix:/path; may be repeated", c.addUpstream)
	settings.StringVar(&s.DataDir, "data-dir", s.DataDir, "`DIRECTORY` for the node's key")
	settings.DurationVar(&s.Keepalive, "keepalive", s.Keepalive, "how often to ask the server for a sign of life")
	settings.DurationVar(&s.IdleTimeout, "idle-timeout", s.IdleTimeout, "give the connection up when nothing came from the server for so long")
	settings.DurationVar(&s.Drain, "drain", s.Drain, "how long running connections may go on after a signal to stop")
	settings.Uint32Var(&s.NetID, "net-id", s.NetID, "`NUMBER` of the network; the server must have the same")
	settings.BoolVar(&s.IPv4, "ipv4", s.IPv4, "reach the server over IPv4")
	settings.BoolVar(&s.IPv6, "ipv6", s.IPv6, "reach the server over IPv6")
	settings.StringVar(&s.LogLevel, "log-level", s.LogLevel, "`LEVEL` of the log: debug, info, warn or error")
	settings.StringVar(&s.LogFormat, "log-format", s.LogFormat, "`FORMAT` of the log: text or json")

	all = pflag.NewFlagSet("apquic-node", pflag.ContinueOnError)
	all.SortFlags = false
	all.AddFlagSet(settings)
	all.BoolVar(&c.version, "version", false, "print the version")
	all.BoolVarP(&c.help, "help", "h", false, "print this help")
	return settings, all
}

func (c *call) setServer(text string) error {
	invitation, err := certs.ParseInvitation(text)
	if err != nil {
		c.faults = append(c.faults, fmt.Errorf("--server: %w", err))
	}
	c.settings.Server = invitation
	return nil
}

func (c *call) addUpstream(text string) error {
	service, err := config.ParseService(text)
	if err != nil {
		c.faults = append(c.faults, fmt.Errorf("--upstream %s: %w", text, err))
	}
	c.upstreams = append(c.upstreams, service)
	return nil
}

func usage() string {
	c := &call{settings: config.DefaultNode()}
	_, all := c.flags()
	return fmt.Sprintf(help, all.FlagUsages())
}

// validate checks the settings as a whole.
func (c *call) validate() error {
	err := c.settings.Validate()
	switch {
	case err == nil:
		return nil
	case c.path == "":
		return cli.UsageError("apquic-node", err)
	}
	return cli.ConfigError(err)
}
