// Apquic-node makes services in its network reachable at public ports of an apquic-server. It only wires the
// packages of this module together.
package main

import (
	"fmt"
	stdlog "log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/time/rate"

	"apquic/certs"
	"apquic/internal/cli"
	"apquic/internal/debug"
	"apquic/internal/events"
	"apquic/internal/heap"
	"apquic/internal/settings"
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
			"": values.only("", serve), "check": values.only("check", check), "id": values.only("id", printID),
			"hash-password": values.only("hash-password", hashPassword),
			"completion":    values.only("completion", func(c *call) error { return c.Completion() }),
			"join":          values.only("join", func(c *call) error { return join(c, values.replace) }),
			"connect":       values.only("connect", func(c *call) error { return connect(c, values.listen, values.stdio) }),
			"status":        values.only("status", func(c *call) error { return printStatus(c, values.dial, values.json, values.watch) }),
		},
		Operands: map[string]int{"hash-password": 1, "join": 1, "connect": 1, "completion": 1},
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

// nodeKey is the key in the configuration, or otherwise the one in the data directory.
func nodeKey(config settings.Node) (certs.PrivateKey, error) {
	if !config.Key.IsZero() {
		return config.Key, nil
	}
	return certs.LoadOrCreateKey(filepath.Join(config.DataDir, "key"))
}

// serve runs the node until a signal to stop.
func serve(c *call) error {
	begun := time.Now()
	server, err := findServer(&c.Settings)
	if err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	config := c.Settings
	log, hub, err := newLog(c)
	if err != nil {
		return err
	}
	stopping, cancel := cli.NewStopping(func() { log.Info("SIGHUP: there is nothing to reload") })
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
	results := stdlog.New(c.Stdout, "", 0) // writes whole lines, from any goroutine
	node, err := newNode(config, key, server, func(c *node.Config) {
		c.StopNow = stopping.Now
		lines := leaseLines(results, config.Services)
		c.Services, c.Log = services(config.Services), log
		c.KnownNode = knownNode(config.DataDir, func(name, id, file string) {
			log.Info("a name in allowNodes means this node from now on", "name", name, "id", id, "file", file)
		})
		c.OnLease = func(l node.Lease) {
			lines(l)
			sites.leased(l)
		}
		c.OnWelcome = welcomes(server, config.Name, log)
	})
	if err != nil {
		return err
	}
	server.advise(log)
	stopAnswering, err := answer(handler(node, sites.refused, hub), config, key, log)
	if err != nil {
		return err
	}
	defer stopAnswering()
	defer heap.Follow(node.MemoryPeak)()
	defer warnOfSilentUpstreams(node, log)()
	defer sites.serve(stopping.Soon, stopping.Now, node)()
	warnOfProxies(config.Services, log)
	return node.Run(stopping.Soon)
}

// newLog returns the log of the node, and what keeps its events.
func newLog(c *call) (*slog.Logger, *events.Hub, error) {
	log, err := cli.Logger(c.Stderr, c.Settings.LogLevel, c.Settings.LogFormat)
	if err != nil {
		return nil, nil, cli.UsageError("apquic-node", err)
	}
	hub := events.New(log.Handler())
	return slog.New(hub), hub, nil
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

// If a server keeps changing the address of a service, one line is printed every lineEvery per service, after
// a burst.
const (
	lineEvery = time.Minute
	lineBurst = 16
)

// privateScheme begins the address of a private service.
const privateScheme = "private:"

// leaseLines returns a function that prints a line per lease, with the addresses in one column.
func leaseLines(to *stdlog.Logger, services []settings.Service) func(node.Lease) {
	width, limits := 0, make(map[string]*rate.Limiter)
	for _, s := range services {
		width = max(width, len(s.Name))
		limits[s.Name] = rate.NewLimiter(rate.Every(lineEvery), lineBurst)
	}
	return func(l node.Lease) {
		if limits[l.Service].Allow() {
			if target, private := strings.CutPrefix(l.PublicAddress, privateScheme); private {
				to.Printf("private %s -> %s (apquic-node connect %s)", l.Service, l.Origin, target)
				return
			}
			to.Printf("%-*s  %s -> %s", width, l.Service, l.PublicAddress, l.Origin)
			if l.Name != "" {
				to.Printf("%-*s  %s -> %s", width, l.Service, l.Name, l.Origin)
			}
		}
	}
}

func services(configured []settings.Service) (services []node.Service) {
	for _, s := range configured {
		service := node.Service{
			Name: s.Name, Upstream: s.Upstream, PublicPort: s.PublicPort, Private: s.Private, AllowNodes: s.AllowNodes, Domain: s.Domain, PlainHTTP: s.PlainHTTP,
			Visitors: s.Visitors, CA: s.CA, Pin: s.Pin, Listing: s.Listing, Networks: s.Networks, ProxyProtocol: s.ProxyProtocol,
			Group: s.Group, Health: s.Health, Host: s.Host,
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
