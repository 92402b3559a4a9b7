package main

import (
	"github.com/spf13/pflag"

	"apquic/internal/config"
)

const help = `apquic-server lends public ports of this machine to nodes behind NAT: each connection to such a port
travels through the node's QUIC connection to a service in the node's network.

Usage:
  apquic-server [flags]                  run until SIGINT or SIGTERM
  apquic-server check -c FILE            say what a configuration file means, or every mistake in it
  apquic-server id                       print this server's id
  apquic-server rotate-key [STEP]        change the server's key in the steps announce and switch, or cancel

  apquic-server invite [NAME]            print an invitation, which lets one node in within 7 days
  apquic-server invitation               list the open invitations, or withdraw one
  apquic-server allow ID [NAME]          let a node in by its id, also one that was revoked
  apquic-server revoke ID|NAME           send a node away: its connections end, no invitation lets it in
  apquic-server nodes                    list the nodes
  apquic-server status                   list the services with their ports and traffic
  apquic-server release ID|NAME SERVICE  give up the port of a service whose node is away
  apquic-server release PORT             the same

The last seven work while the server runs, and while it does not; --data-dir says which server.

Examples:
  # Lend the ports 20000 to 22000, and let a node in.
  apquic-server --range 20000-22000 --public-host tunnel.example.com
  apquic-server invite shed-pi

  # The same from a file; say first what it means.
  apquic-server check -c /etc/apquic/server.json
  apquic-server -c /etc/apquic/server.json

  # An invitation for a class, and one for a machine that is to have a certain port.
  apquic-server invite school --uses 30 --expires 24h
  apquic-server invite shed-pi --port 20022

Flags:
%s
Each flag but those of single commands, --version and --help can be set in the environment, --data-dir as APQUIC_DATA_DIR. A flag counts
more than the environment, the environment more than the file.

Exit status: 0 fine, 1 failed while running, 2 wrong usage, 3 wrong configuration.
`

func bind(s *config.Server, settings *pflag.FlagSet) {
	settings.StringVar(&s.Listen, "listen", s.Listen, "UDP `ADDRESS` that nodes connect to")
	settings.TextVar(&s.Range, "range", s.Range, "public TCP `PORTS` to lend: a-b, or several with commas")
	settings.StringVar(&s.PublicHost, "public-host", s.PublicHost, "`HOST` under which the public reaches this machine (default: its first public address)")
	settings.StringVar(&s.PublicListen, "public-listen", s.PublicListen, "IP `ADDRESS` of this machine at which the lent ports are opened (default: all)")
	settings.StringVar(&s.DataDir, "data-dir", s.DataDir, "`DIRECTORY` for the key, the leases and authorized_nodes")
	settings.BoolVar(&s.Open, "open", s.Open, "lend ports to every node, also without an invitation")
	settings.BoolVar(&s.Silent, "silent", s.Silent, "answer only nodes that know the server's id; off for debugging")
	settings.DurationVar(&s.LeaseTime, "lease-time", s.LeaseTime, "how long a port is kept for a node that went away")
	settings.IntVar(&s.MaxServices, "max-services", s.MaxServices, "how many ports a node may have")
	settings.IntVar(&s.MaxLeasesPerAddress, "max-leases-per-address", s.MaxLeasesPerAddress, "with --open: how many ports the nodes of one address may have together")
	settings.IntVar(&s.MaxClients, "max-clients", s.MaxClients, "how many public connections a service may have at once")
	settings.IntVar(&s.MaxClientsPerAddress, "max-clients-per-address", s.MaxClientsPerAddress, "how many of them one client address may have")
	settings.TextVar(&s.Memory, "memory", s.Memory, "`SIZE`, such as 256MB, that clients may cost who do not read (default: an eighth of the machine's)")
	settings.DurationVar(&s.Park, "park", s.Park, "how long public connections wait for a node that is away")
	settings.DurationVar(&s.IdleTimeout, "idle-timeout", s.IdleTimeout, "give a node up when nothing came from it for so long")
	settings.DurationVar(&s.ResumeTime, "resume-time", s.ResumeTime, "how long running connections wait for a node that lost its own; 0: they end with it")
	settings.DurationVar(&s.Drain, "drain", s.Drain, "how long running connections may go on after a signal to stop")
	settings.Uint32Var(&s.NetID, "net-id", s.NetID, "`NUMBER` of the network; nodes must have the same")
	settings.BoolVar(&s.IPv4, "ipv4", s.IPv4, "listen on IPv4")
	settings.BoolVar(&s.IPv6, "ipv6", s.IPv6, "listen on IPv6")
	settings.StringVar(&s.LogLevel, "log-level", s.LogLevel, "`LEVEL` of the log: debug, info, warn or error")
	settings.StringVar(&s.LogFormat, "log-format", s.LogFormat, "`FORMAT` of the log: text or json")
	settings.StringVar(&s.DebugAddress, "debug-address", s.DebugAddress, "serve profiles at this `ADDRESS` of this machine alone, such as 127.0.0.1:6060 (default: nowhere)")
}
