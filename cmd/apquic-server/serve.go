package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"apquic/internal/cli"
	"apquic/internal/config"
	"apquic/internal/debug"
	"apquic/lease/boltstore"
	"apquic/quicproxy"
)

// serve runs the server until a signal to stop.
func serve(c *call) error {
	if err := c.Validate(); err != nil {
		return err
	}
	settings := c.Settings
	log, err := cli.Logger(c.Stderr, settings.LogLevel, settings.LogFormat)
	if err != nil {
		return cli.UsageError("apquic-server", err)
	}
	ctx, cancel := cli.UntilStopped()
	defer cancel()

	if err := makeDataDir(settings.DataDir); err != nil {
		return err
	}
	stopDebug, err := debug.Start(settings.DebugAddress, settings.DataDir, log)
	if err != nil {
		return err
	}
	defer stopDebug()
	store, err := boltstore.Open(filepath.Join(settings.DataDir, leasesFile))
	if err != nil {
		return err
	}
	defer store.Close()
	leases, err := store.List(context.WithoutCancel(ctx)) // a signal to stop is no error of the store
	if err != nil {
		return err
	}
	conn, err := listenUDP(settings)
	if err != nil {
		return err
	}
	defer conn.Close()
	parts, err := serverConfig(settings, log)
	if err != nil {
		return err
	}
	if err := tryRange(settings.Range, parts.ListenPublic); err != nil {
		return err
	}
	port := conn.LocalAddr().(*net.UDPAddr).Port
	invitation, err := invite(settings, parts.Key.ID(), parts.PublicHost, uint16(port))
	if err != nil {
		return err
	}
	parts.PacketConn, parts.Store = conn, store
	parts.Ready = func() {
		log.Info("listening for nodes", "udp", conn.LocalAddr().String(), "lends", settings.Range.String(),
			"leases", len(leases), "admits", whoMay(settings))
		advise(log, settings, parts.PublicHost)
		fmt.Fprintln(c.Stdout, invitation)
	}
	server, err := quicproxy.NewServer(parts)
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

// serverConfig is what the settings and the files of the data directory make of a server.
func serverConfig(settings config.Server, log *slog.Logger) (quicproxy.ServerConfig, error) {
	key, err := serverKey(settings)
	if err != nil {
		return quicproxy.ServerConfig{}, err
	}
	reset, token, err := quicKeys(settings.DataDir)
	if err != nil {
		return quicproxy.ServerConfig{}, err
	}
	return quicproxy.ServerConfig{
		Key:                  key,
		Ports:                settings.Range,
		LeaseTime:            settings.LeaseTime,
		MaxServices:          settings.MaxServices,
		MaxClients:           settings.MaxClients,
		MaxClientsPerAddress: settings.MaxClientsPerAddress,
		Memory:               int64(settings.Memory),
		PublicHost:           publicHost(settings),
		ListenPublic:         publicListener(settings),
		Admit:                admission(settings, log),
		ResetKey:             reset,
		TokenKey:             token,
		Peers:                peerFile(filepath.Join(settings.DataDir, peersFile)),
		NetID:                settings.NetID,
		IdleTimeout:          settings.IdleTimeout,
		ResumeTime:           orNotAtAll(settings.ResumeTime),
		Drain:                orNotAtAll(settings.Drain),
		Park:                 orNotAtAll(settings.Park),
		Version:              "apquic-server " + cli.Version(),
		Log:                  log,
	}, nil
}

// orNotAtAll turns a duration in which 0 means not at all into one in which 0 means the default.
func orNotAtAll(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
