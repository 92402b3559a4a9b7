package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"apquic/internal/cli"
)

const help = `apquic-node makes services in this network reachable from the public internet: an apquic-server leases it
a public port for each, and every connection to that port comes here through one QUIC connection, which the
node opens. For each service it prints a line such as

  web  tcp://203.0.113.5:20000 -> tcp://127.0.0.1:80

Usage:
  apquic-node join INVITATION  join a server and remember it; - reads the invitation from stdin, FILE from a file,
                               which keeps it out of process lists
  apquic-node leave            give up the ports and domains of this node, and forget the server; asks first, unless --yes
  apquic-node [flags]          run until SIGINT or SIGTERM; on a terminal with a live view, unless --plain
  apquic-node connect NODE/SERVICE --listen ADDRESS
                               carry each connection to ADDRESS to a private service of another node;
                               --stdio instead carries stdin and stdout, for the ProxyCommand of ssh
  apquic-node status [--json]  show the running node's connection, services and relays, and whether the services
                               answer; --dial also connects to the public addresses, as a visitor would, and
                               --watch shows it again and again
  apquic-node dashboard        print a link that opens the page at --dashboard in a browser, logged in
  apquic-node reload           have the running node read its file again, and print what has changed and what needs a
                               restart; SIGHUP does the same, and so does a change of the file
  apquic-node check -c FILE    print what a configuration file means, or every mistake in it
  apquic-node hash-password NAME
                               ask for a password (or read it from stdin) and print the line for it in a file
  apquic-node completion SHELL print what bash, zsh or fish needs to complete these
  apquic-node id               print this node's id; makes its key if there is none

Examples:
  # A web server on this machine. The server printed the invitation; the quotes protect its # from the shell.
  apquic-node join 'apquic://ID@tunnel.example.com:8090#SECRET'
  apquic-node --upstream 8080

  # The same in one line.
  apquic-node --server 'apquic://ID@tunnel.example.com:8090#SECRET' --upstream 127.0.0.1:8080

  # Several services: of this machine, of another one in this network, and a unix socket.
  apquic-node --upstream ssh=22 --upstream printer=192.168.1.30:631 --upstream app=unix:/run/app.sock

  # A folder, which everybody may then read.
  apquic-node --upstream site=file:/srv/www

  # From a file, after checking what it means.
  apquic-node check -c /etc/apquic/node.json
  apquic-node -c /etc/apquic/node.json

  # SSH to a node called garage, whose service ssh has "public": false and is for this node, too.
  ssh -o ProxyCommand='apquic-node connect garage/ssh --stdio' me@garage

Flags:
%s
Each flag but the last eleven can be set in the environment, --data-dir as APQUIC_DATA_DIR. Flags override the
environment, which overrides the file.

Exit status: 0 success, 1 failed while running, 2 wrong usage, 3 wrong configuration, 4 left.
`

// commandFlags are the flags of single commands.
type commandFlags struct {
	json       bool   // of several
	dial       bool   // of status
	watch      bool   // too
	plain      bool   // without a command
	yes, force bool   // of leave
	replace    bool   // of join
	listen     string // of connect
	stdio      bool   // of connect
}

func (f *commandFlags) bind(flags *pflag.FlagSet) {
	flags.BoolVar(&f.json, "json", false, "with the commands status, reload, join, leave and dashboard: print JSON")
	flags.BoolVar(&f.dial, "dial", false, "with the command status: connect to each public address from here")
	flags.BoolVar(&f.watch, "watch", false, "with the command status: show it again every 2 s until ^C")
	flags.BoolVar(&f.plain, "plain", false, "print lines on a terminal, too, instead of a live view")
	flags.BoolVar(&f.yes, "yes", false, "with the command leave: do not ask")
	flags.BoolVar(&f.force, "force", false, "with the command leave: even if the server cannot be told, which then keeps the ports for a while")
	flags.StringVar(&f.listen, "listen", "", "with the command connect: carry the connections to this `ADDRESS`")
	flags.BoolVar(&f.stdio, "stdio", false, "with the command connect: carry stdin and stdout")
	flags.BoolVar(&f.replace, "replace", false, "with the command join: give up the server joined before")
}

// only returns do, the work of a command, preceded by a check that no flag of another command was given.
func (f *commandFlags) only(command string, do func(*call) error) func(*call) error {
	return func(c *call) error {
		for _, flag := range f.given() {
			if flag.given && !slices.Contains(flag.with, command) {
				return cli.UsageError("apquic-node", fmt.Errorf("--%s belongs to the command %s", flag.name, cmp.Or(strings.Join(flag.with, ", "), "that runs the node")))
			}
		}
		return do(c)
	}
}

// flagOf is a flag with the commands that it belongs to.
type flagOf struct {
	given bool
	name  string
	with  []string
}

func (f *commandFlags) given() []flagOf {
	return []flagOf{
		{f.json, "json", []string{"status", "reload", "join", "leave", "dashboard"}}, {f.dial, "dial", []string{"status"}}, {f.watch, "watch", []string{"status"}},
		{f.plain, "plain", []string{""}}, {f.yes, "yes", []string{"leave"}}, {f.force, "force", []string{"leave"}}, {f.replace, "replace", []string{"join"}},
		{f.listen != "", "listen", []string{"connect"}}, {f.stdio, "stdio", []string{"connect"}},
	}
}
