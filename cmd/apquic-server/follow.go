package main

import (
	"sync/atomic"

	"apquic/internal/accesslog"
	"apquic/internal/cli"
	"apquic/internal/countries"
	"apquic/internal/notices"
	"apquic/internal/reload"
	"apquic/internal/settings"
	"apquic/internal/settings/limits"
	"apquic/quicproxy/server"
	"apquic/rules"
)

// follower has a running server follow its settings.
type follower struct {
	call  *call
	log   *cli.Log
	known *countries.InUse

	// Set before the first reload.
	server  *server.Server
	notices *notices.Notices
	access  *accesslog.Log
	own     *limits.File

	running settings.Server                 // in use; a reload at a time uses it
	shown   atomic.Pointer[settings.Server] // the same; nil: none was loaded again
}

// apply reads the settings as they are now, and makes those hold that can.
func (f *follower) apply() (report reload.Report, err error) {
	f.access.Reopen() // a program that moves logs says that with the same signal
	again, err := f.call.Again()
	if err != nil {
		return report, err
	}
	if err := again.Validate(); err != nil {
		return report, err
	}
	now, changes := f.running.Follow(again.Settings)
	file, err := f.known.Open(now.Countries)
	if err != nil {
		return report, cli.ConfigError(err)
	}
	tells, err := notices.Read(now.Notices)
	if err != nil {
		return report, cli.ConfigError(err)
	}
	log, err := f.access.Prepare(now.AccessLog, now.AccessLogFormat)
	if err != nil {
		return report, cli.ConfigError(err)
	}
	config := liveConfig(now)
	config.Country = countries.In(now.Countries, file)
	if err := f.own.Reload(func(own rules.Own) error {
		if err := f.server.Follow(config); err != nil {
			return err
		}
		f.server.Limit(own)
		return nil
	}); err != nil {
		return report, cli.ConfigError(err)
	}
	f.known.Use(now.Countries, file)
	f.notices.Follow(tells)
	log()
	f.log.SetLevel(now.LogLevel)
	f.running = now
	f.shown.Store(&now)
	for _, change := range changes {
		report.Add(change.What, change.Live)
	}
	return report, nil
}

// limits are the rules that hold now, and what the settings say otherwise.
func (f *follower) limits() (rules.Rules, rules.Limits) {
	if now := f.shown.Load(); now != nil {
		return now.Limits()
	}
	return f.call.Settings.Limits()
}

// liveConfig is what can change while a server runs.
func liveConfig(config settings.Server) server.Config {
	return server.Config{
		LeaseTime:            config.LeaseTime,
		MaxServices:          config.MaxServices,
		MaxLeasesPerAddress:  config.MaxLeasesPerAddress,
		MaxClients:           config.MaxClients,
		MaxClientsPerAddress: config.MaxClientsPerAddress,
		Groups:               config.Groups,
		Rules:                config.Rules,
		Visitors:             config.Visitors,
		Park:                 settings.OrNotAtAll(config.Park),
		FlowIdle:             config.FlowIdle,
	}
}
