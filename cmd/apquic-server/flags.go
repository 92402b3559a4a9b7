package main

const help = `apquic-server leases public ports of this machine to nodes behind NAT: each connection to such a port
travels through the node's QUIC connection to a service in the node's network.

Usage:
  apquic-server [flags]                  run until SIGINT or SIGTERM
  apquic-server check -c FILE            print what a configuration file means, or every mistake in it
  apquic-server reload                   have the running server read its file again, and print what has changed and
                                         what needs a restart; SIGHUP does the same, and so does a change of the file
  apquic-server id                       print this server's id
  apquic-server rotate-key [STEP]        change the server's key in two steps, announce and switch; or cancel

  apquic-server invite [NAME]            print an invitation that admits one node within 7 days
  apquic-server invitation               list the open invitations, or withdraw one
  apquic-server allow ID [NAME]          admit a node by its id, even one that was revoked
  apquic-server revoke ID|NAME           shut a node out: its connections end, no invitation admits it
  apquic-server kick ID|NAME             end a node's session now; it may come back
  apquic-server status                   is it reached, who is here, how much goes through
  apquic-server nodes                    list the nodes with their round trip time, loss and moves
  apquic-server services                 list the services with their addresses and traffic
  apquic-server relays                   list the connections that run now
  apquic-server top                      show who moves most bytes per second
  apquic-server totals [ID|NAME]         show what has passed each day, also before the server was restarted
  apquic-server explain ID|NAME          say what a node may have, and which rule says so
  apquic-server limit ID|NAME KEY=VALUE...
                                         say what a node may have, before all rules; without operands list that
  apquic-server pin ID|NAME SERVICE [PORT]
                                         make its port, or this one, that of a service for good
  apquic-server unpin ID|NAME SERVICE    let the port go again when the lease ends
  apquic-server release ID|NAME SERVICE  give up the port or domain of a service whose node is away
  apquic-server release PORT|DOMAIN      the same
  apquic-server backup FILE              save the server's keys, leases and nodes, encrypted with a passphrase

  apquic-server restore FILE             make an empty data directory that of a backup
  apquic-server completion SHELL         print what bash, zsh or fish needs to complete these, with names of nodes

  apquic-server events                   print what happened last; --watch goes on
  apquic-server dashboard                print a link that opens the page at --dashboard in a browser, logged in
  apquic-server drain                    stop the server as SIGTERM does, and wait for its end

The commands from invite to backup work whether the server is running or not; --data-dir says which server.

Examples:
  # Lease the ports 20000 to 22000, and invite a node.
  apquic-server --range 20000-22000 --public-host tunnel.example.com
  apquic-server invite shed-pi

  # From a file, after checking what it means.
  apquic-server check -c /etc/apquic/server.json
  apquic-server -c /etc/apquic/server.json

  # An invitation for a class, and one for a machine that wants a particular port.
  apquic-server invite school --uses 30 --expires 24h
  apquic-server invite shed-pi --port 20022

  # A guest gets two services and 1 MB/s, from now on; and a game server is always at the same port.
  apquic-server limit guest maxServices=2 maxRateOut=1MB
  apquic-server pin shed-pi game 20065

  # Move to another machine: on the old one, and then on the new one.
  apquic-server backup server.age
  apquic-server restore server.age

Flags:
%s
Each flag but those of single commands, --version and --help can be set in the environment, --data-dir as
APQUIC_DATA_DIR. Flags override the environment, which overrides the file.

Exit status: 0 success, 1 failed while running, 2 wrong usage, 3 wrong configuration.
`
