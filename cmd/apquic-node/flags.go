package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"apquic/certs"
	"apquic/internal/cli"
	"apquic/internal/config"
)

const help = `apquic-node makes services of this network reachable from the public internet: an apquic-server lends it
a public port for each, and every connection to that port comes here through one QUIC connection, which the
node opens itself. For each service it prints a line such as

  web  tcp://203.0.113.5:20000 -> tcp://127.0.0.1:80

Usage:
  apquic-node join INVITATION  be let in by a server and keep what it takes to find it; - reads the invitation from
                               stdin, FILE from a file, so that it stands in no list of processes
  apquic-node [flags]          run until SIGINT or SIGTERM
  apquic-node status [--json]  how the running node is: its connection, its services, whether these answer;
                               --dial also connects to the public addresses, as a visitor would
  apquic-node check -c FILE    say what a configuration file means, or every mistake in it
  apquic-node id               print this node's id; makes its key if there is none

Examples:
  # A web server on this machine. The server printed the invitation; the quotes keep its # from the shell.
  apquic-node join 'apquic://ID@tunnel.example.com:8090#SECRET'
  apquic-node --upstream 8080

  # The same in one line.
  apquic-node --server 'apquic://ID@tunnel.example.com:8090#SECRET' --upstream 127.0.0.1:8080

  # Several services, also of other machines in this network, and a socket of this one.
  apquic-node --upstream ssh=22 --upstream printer=192.168.1.30:631 --upstream app=unix:/run/app.sock

  # The same from a file; say first what it means.
  apquic-node check -c /etc/apquic/node.json
  apquic-node -c /etc/apquic/node.json

Flags:
%s
Each flag but the last five can be set in the environment, --data-dir as APQUIC_DATA_DIR. A flag counts
more than the environment, the environment more than the file.

Exit status: 0 fine, 1 failed while running, 2 wrong usage, 3 wrong configuration.
`

// flagValues are the values of flags that need more than a variable.
type flagValues struct {
	settings  *config.Node
	upstreams []config.Service // instead of the file's services, if there are any
	faults    []error          // of values that pflag must not repeat: an invitation has a secret
	json      bool             // of the command status
	dial      bool             // of the command status
	replace   bool             // of the command join
}

func (f *flagValues) bind(s *config.Node, settings, others *pflag.FlagSet) {
	*f = flagValues{settings: s}
	settings.Func("server", "the server's `INVITATION`, apquic://ID@HOST:PORT#SECRET (default: the server that was joined)", f.setServer)
	settings.Func("upstream", "`SERVICE` to make reachable: a port of this machine, host:port or unix:/path, with name= before it; may be repeated", f.addUpstream)
	settings.StringVar(&s.DataDir, "data-dir", s.DataDir, "`DIRECTORY` for the node's key and its server")
	settings.Var((*keepalive)(&s.Keepalive), "keepalive", "how often to ask the server for a sign of life; auto: as rarely as this network allows")
	settings.TextVar(&s.Memory, "memory", s.Memory, "`SIZE`, such as 256MB, that services may cost that do not read (default: an eighth of the machine's)")
	settings.DurationVar(&s.IdleTimeout, "idle-timeout", s.IdleTimeout, "give the connection up when nothing came from the server for so long")
	settings.DurationVar(&s.ResumeTime, "resume-time", s.ResumeTime, "how long running connections wait for a new connection to the server; 0: they end with the old one")
	settings.DurationVar(&s.Drain, "drain", s.Drain, "how long running connections may go on after a signal to stop")
	settings.Uint32Var(&s.NetID, "net-id", s.NetID, "`NUMBER` of the network; the server must have the same")
	settings.BoolVar(&s.IPv4, "ipv4", s.IPv4, "reach the server over IPv4")
	settings.BoolVar(&s.IPv6, "ipv6", s.IPv6, "reach the server over IPv6")
	settings.StringVar(&s.LogLevel, "log-level", s.LogLevel, "`LEVEL` of the log: debug, info, warn or error")
	settings.StringVar(&s.LogFormat, "log-format", s.LogFormat, "`FORMAT` of the log: text or json")
	settings.StringVar(&s.DebugAddress, "debug-address", s.DebugAddress, "serve profiles at this `ADDRESS` of this machine alone, such as 127.0.0.1:6060 (default: nowhere)")
	others.BoolVar(&f.json, "json", false, "with the command status: print JSON")
	others.BoolVar(&f.dial, "dial", false, "with the command status: connect to each public address from here")
	others.BoolVar(&f.replace, "replace", false, "with the command join: give up the server that was joined before")
}

// only is do, the work of a command, which refuses flags that belong to another one.
func (f *flagValues) only(command string, do func(*call) error) func(*call) error {
	return func(c *call) error {
		for _, flag := range []struct {
			given      bool
			name, with string
		}{{f.json, "--json", "status"}, {f.dial, "--dial", "status"}, {f.replace, "--replace", "join"}} {
			if flag.given && flag.with != command {
				return cli.UsageError("apquic-node", fmt.Errorf("%s belongs to the command %s", flag.name, flag.with))
			}
		}
		return do(c)
	}
}

// keepalive is a duration or auto.
type keepalive time.Duration

func (k *keepalive) Set(text string) (err error) {
	*(*time.Duration)(k), err = config.ParseKeepalive(text)
	return err
}
func (k *keepalive) String() string { return config.FormatKeepalive(time.Duration(*k)) }
func (k *keepalive) Type() string   { return "duration" }

func (f *flagValues) setServer(text string) error {
	invitation, err := certs.ParseInvitation(text)
	if err != nil {
		f.faults = append(f.faults, fmt.Errorf("--server: %w", err))
	}
	f.settings.Server = invitation
	return nil
}

func (f *flagValues) addUpstream(text string) error {
	service, err := config.ParseService(text)
	if err != nil {
		f.faults = append(f.faults, fmt.Errorf("--upstream %s: %w", text, err))
	}
	f.upstreams = append(f.upstreams, service)
	return nil
}

// complete puts the services of the command line in the place of those in the file.
func (f *flagValues) complete(s *config.Node) error {
	if len(f.upstreams) > 0 {
		s.Services = config.NameServices(f.upstreams)
	}
	return errors.Join(f.faults...)
}
