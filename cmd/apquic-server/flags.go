package main

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
