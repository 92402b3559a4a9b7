package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/accesslog"
	"apquic/internal/cli"
	"apquic/internal/countries"
	"apquic/internal/dashboard"
	"apquic/internal/debug"
	"apquic/internal/events"
	"apquic/internal/heap"
	"apquic/internal/monitor"
	"apquic/internal/notices"
	"apquic/internal/peerfile"
	"apquic/internal/publicsuffix"
	"apquic/internal/reload"
	"apquic/internal/settings"
	"apquic/internal/settings/limits"
	"apquic/internal/systemd"
	"apquic/internal/totals"
	"apquic/lease/boltstore"
	"apquic/quicproxy/server"
)

// serve runs the server until a signal to stop.
func serve(c *call) error {
	begun := time.Now()
	if err := c.Validate(); err != nil {
		return err
	}
	config := c.Settings
	logger, hub, err := newLog(c)
	if err != nil {
		return err
	}
	log := logger.Logger
	known := &countries.InUse{Log: log}
	file, err := known.Open(config.Countries)
	if err != nil {
		return err
	}
	defer known.End()
	kept := newSockets(config, log)
	follows := &follower{call: c, log: logger, known: known, running: config}
	reloader := reload.New(reload.Config{Path: c.Path(), Apply: follows.apply, Around: kept.manager.Reload, Log: log})
	stopping, cancel := cli.NewStopping(reloader.Signal)
	defer cancel()
	ctx, stop := context.WithCancel(stopping.Soon)
	defer stop()
	stopDebug, err := prepare(config, begun, log)
	if err != nil {
		return err
	}
	defer stopDebug()
	store, err := boltstore.Open(filepath.Join(config.DataDir, leasesFile))
	if err != nil {
		return err
	}
	defer store.Close()
	kept.tidy()
	conn, err := kept.listenUDP()
	if err != nil {
		return err
	}
	defer conn.Close()
	parts, err := serverConfig(config, log)
	if err != nil {
		return err
	}
	ending, err := openNames(config, kept, &parts)
	if err != nil {
		return err
	}
	defer ending.run(ctx, stopping.Now)()
	if err := kept.open(&parts); err != nil {
		return err
	}
	parts.PacketConn, parts.Store, parts.StopNow = conn, store, stopping.Now
	parts.Country = known.Use(config.Countries, file)
	if follows.access, err = accesslog.Open(log, c.Stdout, config.AccessLog, config.AccessLogFormat); err != nil {
		return err
	}
	defer follows.access.Close()
	return serveNodes(ctx, c, parts, kept, follows, &office{hub: hub, reloader: reloader, stop: stop})
}

// office is what the owner of a running server sees and does beside its operations.
type office struct {
	hub      *events.Hub
	reloader *reload.Reloader
	stop     func() // the server, as a signal does
	begun    atomic.Bool
}

// newLog returns the log of the server, and what keeps its events.
func newLog(c *call) (*cli.Log, *events.Hub, error) {
	log, err := cli.NewLog(c.Stderr, c.Settings.LogLevel, c.Settings.LogFormat)
	if err != nil {
		return nil, nil, cli.UsageError("apquic-server", err)
	}
	hub := events.New(log.Handler())
	log.Logger = slog.New(hub)
	return log, hub, nil
}

// prepare makes the data directory ready, and begins to serve profiles if somebody wants them.
func prepare(config settings.Server, begun time.Time, log *slog.Logger) (stopDebug func(), err error) {
	if err := makeDataDir(config.DataDir); err != nil {
		return nil, err
	}
	cli.RemoveLeftovers(config.DataDir, begun, log)
	return debug.Start(config.DebugAddress, config.DataDir, log)
}

// openNames opens the ports for clients that come by name, and reads certificates. ending is nil if the server ends no
// TLS.
func openNames(config settings.Server, kept *sockets, parts *server.Config) (ending *terminator, err error) {
	if parts.HTTPS, err = kept.listenShared(config.HTTPS); err != nil {
		return nil, err
	}
	if parts.HTTP, err = kept.listenShared(config.HTTP); err != nil {
		return nil, err
	}
	if ending, err = newTerminator(config, parts.Log); ending != nil {
		parts.Terminator = ending // the interface stays nil otherwise
	}
	return ending, err
}

// serveNodes runs the server made from parts, and the socket on which commands reach it.
func serveNodes(ctx context.Context, c *call, parts server.Config, kept *sockets, follows *follower, office *office) error {
	config, log := c.Settings, parts.Log
	// A signal to stop is not an error of the store.
	leases, err := parts.Store.List(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	follows.notices, err = notices.Open(notices.Config{Program: "apquic-server", Hub: office.hub, Log: log}, config.Notices)
	if err != nil {
		return cli.ConfigError(err)
	}
	port := uint16(parts.PacketConn.LocalAddr().(*net.UDPAddr).Port)
	firstStart := !hasPublicAddress(config.DataDir)
	if err := writePublicAddress(config.DataDir, publicHost(config), port); err != nil {
		return err
	}
	authority := authorityOf(config, parts.Key)
	authority.Ports, authority.Version, authority.Log = config.Range, parts.Version, log
	authority.Address = func() (string, uint16, error) { return publicHost(config), port, nil }
	counts := totals.Open(filepath.Join(config.DataDir, totalsFile), log)
	defer counts.Close()
	authority.Totals, authority.Copy = counts, copyLeases(config.DataDir, parts.Store, counts)
	authority.Stop, authority.Rules, authority.LinesLost = office.stop, follows.limits, follows.access.Lost
	if authority.Limits, err = limits.Open(filepath.Join(config.DataDir, limits.Name)); err != nil {
		return err
	}
	parts.Ledger, parts.Admit, parts.Access = counts, admits(config, authority, log), &follows.access.Outlet
	parts.Ready = func() {
		log.Info("listening for nodes", "udp", parts.PacketConn.LocalAddr().String(), "range", config.Range.String(),
			"leases", len(leases), "admits", whoMay(config))
		advise(log, config, publicHost(config), firstStart)
		if err := greet(ctx, c, authority); err != nil {
			log.Error("cannot make an invitation", "err", err)
		}
		kept.closeRest()
		office.begun.Store(true)
		kept.notify(systemd.Ready)
	}
	server, err := server.New(parts)
	if err != nil {
		return err
	}
	authority.Core, follows.server, follows.own = admin.Running{Server: server}, server, authority.Limits
	server.Limit(authority.Limits.Own())
	if ending, ok := parts.Terminator.(*terminator); ok {
		authority.Logins = ending.logins.refused
	}
	handler := monitor.Beside(admin.Handler(authority, office.hub, office.reloader), authority.Monitored(func() bool { return office.begun.Load() && ctx.Err() == nil }))
	stopAPI, err := config.Control(config.DataDir, parts.Key, log).WithPage(dashboard.Handler(), dashboard.CommandOf("apquic-server", config.DataDir)).Answer(handler)
	if err != nil {
		return err
	}
	defer stopAPI() // once the last relay has ended
	defer follows.notices.Start(authority.Whereabouts)()
	defer heap.Follow(server.MemoryPeak)()
	defer counts.Start(server.Settle)()
	defer office.reloader.Start(ctx)()
	defer kept.manager.Watchdog(func() { server.Status() })()
	return server.Run(ctx)
}

// greet prints an invitation on the first start, if a person is there to read it. A secret must not get into
// a journal, so otherwise it prints the command that makes one.
func greet(ctx context.Context, c *call, authority *admin.Authority) error {
	if c.Settings.Open {
		host, port, _ := authority.Address()
		fmt.Fprintln(c.Stdout, certs.Invitation{Server: authority.Server, Host: host, Port: port})
		return nil
	}
	nodes, err := authority.ListNodes(ctx)
	if err != nil {
		return err
	}
	open, err := authority.ListInvitations(ctx)
	if err != nil {
		return err
	}
	if len(nodes)+len(open) > 0 || !cli.IsTerminal(c.Stdout) {
		fmt.Fprintln(c.Stdout, "apquic-server invite --data-dir", cli.Quoted(c.Settings.DataDir))
		return nil
	}
	invited, err := authority.Invite(ctx, admin.InviteRequest{})
	if err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout, invited.Invitation)
	return nil
}

// serverConfig makes the configuration of a server from the settings and the files in the data directory.
func serverConfig(config settings.Server, log *slog.Logger) (server.Config, error) {
	key, err := serverKey(config)
	if err != nil {
		return server.Config{}, err
	}
	next, err := nextID(config)
	if err != nil {
		return server.Config{}, err
	}
	former, err := formerID(config)
	if err != nil {
		return server.Config{}, err
	}
	if !next.IsZero() {
		log.Info("a next key is announced to nodes", "id", next.String())
	}
	reset, token, err := quicKeys(config.DataDir)
	if err != nil {
		return server.Config{}, err
	}
	c := liveConfig(config)
	c.Key = key
	c.Next = next
	c.Former = former
	c.Ports = config.Range
	c.CheckDomain = publicsuffix.Check
	c.Memory = int64(config.Memory)
	c.PublicHost = config.PublicHost
	c.FindPublicHost = func() string { return publicHost(config) }
	c.ListenPublic = publicListener(config)
	c.ListenPublicPacket = publicPacketListener(config)
	c.Domain = config.Domain
	c.Balancers = config.ProxyProtocolFrom
	c.ResetKey = reset
	c.TokenKey = token
	c.Peers = peerfile.File(filepath.Join(config.DataDir, peersFile))
	c.NetID = config.NetID
	c.AnswerStrangers = !config.Silent
	c.IdleTimeout = config.IdleTimeout
	c.ResumeTime = settings.OrNotAtAll(config.ResumeTime)
	c.Drain = settings.OrNotAtAll(config.Drain)
	c.Version = "apquic-server " + cli.Version()
	c.Log = log
	return c, nil
}
