// Apquic-node makes services in its network reachable at public ports of an apquic-server. It only wires the
// packages of this module together.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"apquic/certs"
	"apquic/internal/accesslog"
	"apquic/internal/cli"
	"apquic/internal/console"
	"apquic/internal/dashboard"
	"apquic/internal/debug"
	"apquic/internal/events"
	"apquic/internal/heap"
	"apquic/internal/notices"
	"apquic/internal/reload"
	"apquic/internal/settings"
	"apquic/internal/systemd"
	"apquic/internal/visits"
	"apquic/internal/web"
	"apquic/quicproxy/node"
)

func main() {
	// quic-go's warning about socket buffers is for servers with fast links.
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	os.Exit(program().Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

type call = cli.Call[settings.Node]

func program() *cli.Program[settings.Node] {
	var values commandFlags
	return &cli.Program[settings.Node]{
		Name: "apquic-node", Help: help,
		Defaults: settings.DefaultNode, Load: settings.LoadNode, Validate: settings.Node.Validate,
		Bind: func(into *settings.Node, flags, others *pflag.FlagSet) {
			into.AddFlags(flags)
			values.bind(others)
		},
		Commands: map[string]func(*call) error{
			"": values.only("", func(c *call) error { return serve(c, values.plain) }), "check": values.only("check", check), "id": values.only("id", printID),
			"hash-password": values.only("hash-password", hashPassword),
			"completion":    values.only("completion", func(c *call) error { return c.Completion() }),
			"join":          values.only("join", func(c *call) error { return join(c, values.replace, values.json) }),
			"leave":         values.only("leave", func(c *call) error { return leave(c, values.yes, values.force, values.json) }),
			"connect":       values.only("connect", func(c *call) error { return connect(c, values.listen, values.stdio) }),
			"reload": values.only("reload", func(c *call) error {
				return reload.Command(context.Background(), c.Settings.DataDir, values.json, c.Stdout)
			}),
			"dashboard": values.only("dashboard", func(c *call) error {
				return dashboard.Command(context.Background(), c.Settings.DataDir, values.json, c.Stdout, c.Stderr)
			}),
			"status": values.only("status", func(c *call) error { return printStatus(c, values.dial, values.json, values.watch) }),
		},
		Operands: map[string]int{"hash-password": 1, "join": 1, "connect": 1, "completion": 1},
		Complete: complete,
	}
}

// check prints what the settings mean.
func check(c *call) error {
	if _, err := findServer(&c.Settings); err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	fmt.Fprint(c.Stdout, c.Settings.Describe())
	return nil
}

// printID makes the key if there is none yet.
func printID(c *call) error {
	key, err := nodeKey(c.Settings)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout, key.ID())
	return nil
}

// keyName is the file of the key in the data directory.
const keyName = "key"

// nodeKey is the key in the configuration, or otherwise the one in the data directory.
func nodeKey(config settings.Node) (certs.PrivateKey, error) {
	if !config.Key.IsZero() {
		return config.Key, nil
	}
	return certs.LoadOrCreateKey(filepath.Join(config.DataDir, keyName))
}

// serve runs the node until a signal to stop, on a terminal with a live view unless that is to be plain.
func serve(c *call, plain bool) error {
	begun := time.Now()
	given := c.Settings
	server, err := findServer(&c.Settings)
	if err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	config := c.Settings
	view := openView(c, plain)
	defer view.Close()
	logger, hub, left, err := newLog(c, view)
	if err != nil {
		return err
	}
	log := logger.Logger
	manager := systemd.FromEnvironment()
	follows := &follower{call: c, running: given, log: logger, hub: hub, view: view, server: server, left: left}
	reloader := reload.New(reload.Config{Path: c.Path(), Apply: follows.apply, Around: manager.Reload, Log: log})
	stopping, cancel := cli.NewStopping(reloader.Signal)
	defer cancel()

	cli.RemoveLeftovers(config.DataDir, begun, log)
	key, err := nodeKey(config)
	if err != nil {
		return err
	}
	stopDebug, err := debug.Start(config.DebugAddress, config.DataDir, log)
	if err != nil {
		return err
	}
	defer stopDebug()
	sites, err := newSites(config, log)
	if err != nil {
		return err
	}
	if follows.access, err = accesslog.Open(log, view.Lines(c.Stdout), config.AccessLog, config.AccessLogFormat); err != nil {
		return err
	}
	defer follows.access.Close()
	lines := console.NewLines(view.Lines(c.Stdout), names(config.Services))
	node, err := newNode(config, key, server, func(c *node.Config) {
		c.StopNow = stopping.Now
		c.Services, c.Log, c.Access = services(config.Services), log, &follows.access.Outlet
		c.KnownNode = knownNode(config.DataDir, tellKnown(log))
		c.OnLease = func(l node.Lease) {
			lines.Print(l)
			sites.leased(l)
		}
		c.OnWelcome = welcomes(server, config.Name, log)
	})
	if err != nil {
		return err
	}
	server.advise(log)
	follows.node, follows.sites, follows.lines, follows.key = node, sites, lines, key
	return follows.run(stopping, reloader, manager)
}

// openView returns the live view of the node; nil: there is to be none, or the terminal shows other lines.
func openView(c *call, plain bool) *console.View {
	config, defaults := c.Settings, settings.DefaultNode()
	if plain || config.AccessLog == "-" {
		return nil
	}
	return console.Open(c.Stdout, c.Stderr, config.LogLevel == "debug" || config.LogFormat != defaults.LogFormat, os.Getenv)
}

// run runs the node until a signal to stop.
func (f *follower) run(stopping cli.Stopping, reloader *reload.Reloader, manager *systemd.Manager) error {
	config, log := f.running, f.log.Logger
	tells, err := notices.Open(notices.Config{Program: "apquic-node", Hub: f.hub, Log: log}, config.Notices)
	if err != nil {
		return cli.ConfigError(err)
	}
	f.notices = tells
	defer tells.Start(nil)()
	defer f.sites.serve(stopping.Soon, stopping.Now, f.node)()
	soon, stop := context.WithCancel(stopping.Soon)
	defer stop()
	leaves := &leaver{f, stop}
	stopAnswering, err := f.answer(reloader, leaves)
	if err != nil {
		return err
	}
	defer stopAnswering()
	defer heap.Follow(f.node.MemoryPeak)()
	defer warnOfSilentUpstreams(f.node, log)()
	defer reloader.Start(stopping.Soon)()
	defer manager.Watchdog(f.node.Answers)()
	warnOfProxies(config.Services, log)
	manager.Notify(systemd.Ready) // a failure is systemd's to notice
	defer context.AfterFunc(stopping.Soon, func() { manager.Notify(systemd.Stopping) })()
	defer f.view.Start(f.node, f.hub, f.left)()
	return leaves.end(f.node.Run(soon))
}

// tellKnown returns what says what a name means.
func tellKnown(log *slog.Logger) func(name, id, file string) {
	return func(name, id, file string) {
		log.Info("a name in allowNodes means this node from now on", "name", name, "id", id, "file", file)
	}
}

// newLog returns the log of the node, what keeps its events, and who left last, if somebody may see them.
func newLog(c *call, view *console.View) (*cli.Log, *events.Hub, *visits.Last, error) {
	log, err := cli.NewLog(view.Log(c.Stderr), c.Settings.LogLevel, c.Settings.LogFormat)
	if err != nil {
		return nil, nil, nil, cli.UsageError("apquic-node", err)
	}
	left, handler := new(visits.Last), log.Handler()
	if view != nil || c.Settings.AdminAddress != "" {
		handler = left.Handler(handler)
	}
	hub := events.New(handler)
	log.Logger = slog.New(hub)
	return log, hub, left, nil
}

// welcomes returns what to do when the server has admitted the node, which would like to have a name.
func welcomes(server *membership, name string, log *slog.Logger) func(node.Welcome) {
	return func(w node.Welcome) {
		if err := server.welcomed(w); err != nil {
			log.Warn("the server cannot be remembered; the node will need --server next time", "err", err)
		}
		if name != "" && w.Name != name {
			log.Warn("the server calls this node by another name", "wanted", name, "name", w.Name,
				"hint", "another node has the wanted one, or the server's operator chose; other nodes connect by the name of the server, or by the id")
		}
		if w.Joined {
			log.Info("the server has admitted this node; apquic-node status --dial says whether its firewall lets visitors in")
		}
	}
}

// newNode makes a node from the settings; more adds what only some commands need.
func newNode(config settings.Node, key certs.PrivateKey, server *membership, more func(*node.Config)) (*node.Node, error) {
	c := node.Config{
		Key:         key,
		Name:        config.Name,
		Network:     network(config),
		NetID:       config.NetID,
		Keepalive:   config.Keepalive,
		NATBindings: natBindingsFile(filepath.Join(config.DataDir, natBindingsName)),
		IdleTimeout: config.IdleTimeout,
		Memory:      int64(config.Memory),
		ResumeTime:  settings.OrNotAtAll(config.ResumeTime),
		Drain:       settings.OrNotAtAll(config.Drain),
		Version:     "apquic-node " + cli.Version(),
	}
	server.configure(&c)
	more(&c)
	return node.New(c)
}

// names are those of services.
func names(services []settings.Service) (names []string) {
	for _, s := range services {
		names = append(names, s.Name)
	}
	return names
}

func services(configured []settings.Service) (services []node.Service) {
	for _, s := range configured {
		service := node.Service{
			Name: s.Name, Upstream: s.Upstream, PublicPort: s.PublicPort, Private: s.Private, AllowNodes: s.AllowNodes, Domain: s.Domain, PlainHTTP: s.PlainHTTP,
			Visitors: s.Visitors, CA: s.CA, Pin: s.Pin, Listing: s.Listing, Networks: s.Networks, ProxyProtocol: s.ProxyProtocol,
			Group: s.Group, Health: s.Health, Host: s.Host, Canary: s.Canary,
		}
		service.TLS, service.NameIfAny = s.ServerTLS()
		service.AsksPassword = len(s.Passwords) > 0
		if s.EndsHTTP() {
			service.Accept, service.AcceptAll, service.AcceptCost = true, s.Host != "" || s.AsksVisitors(), web.Cost
		}
		services = append(services, service)
	}
	return services
}

// network names the address families that are on.
func network(config settings.Node) string {
	switch {
	case !config.IPv6:
		return "udp4"
	case !config.IPv4:
		return "udp6"
	}
	return "udp"
}
