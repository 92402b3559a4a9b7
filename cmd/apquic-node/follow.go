package main

import (
	"sync"

	"apquic/certs"
	"apquic/internal/accesslog"
	"apquic/internal/cli"
	"apquic/internal/console"
	"apquic/internal/events"
	"apquic/internal/notices"
	"apquic/internal/reload"
	"apquic/internal/settings"
	"apquic/internal/visits"
	"apquic/quicproxy/node"
)

// follower has a running node follow its settings.
type follower struct {
	hub  *events.Hub
	key  certs.PrivateKey
	call *call
	log  *cli.Log
	view *console.View // nil: none
	left *visits.Last

	access *accesslog.Log
	server *membership

	// Set before the first reload.
	node    *node.Node
	sites   *sites
	lines   *console.Lines
	notices *notices.Notices

	changing sync.Mutex    // held by a reload, and while the node leaves
	running  settings.Node // in use
	gone     bool          // the node has left its server, and stops
}

// apply reads the settings as they are now, and makes those hold that can.
func (f *follower) apply() (report reload.Report, err error) {
	f.changing.Lock()
	defer f.changing.Unlock()
	if f.gone {
		return report, errLeft
	}
	f.access.Reopen() // a program that moves logs says that with the same signal
	again, err := f.call.Again()
	if err != nil {
		return report, err
	}
	now, changes := f.running.Follow(again.Settings)
	again.Settings.DataDir = f.running.DataDir
	if _, err := findServer(&again.Settings); err != nil { // without a server they may be wrong
		return report, err
	}
	if err := again.Validate(); err != nil {
		return report, err
	}
	sites, err := f.sites.plan(now.Services)
	if err != nil {
		return report, err
	}
	tells, err := notices.Read(now.Notices)
	if err != nil {
		return report, cli.ConfigError(err)
	}
	log, err := f.access.Prepare(now.AccessLog, now.AccessLogFormat)
	if err != nil {
		return report, cli.ConfigError(err)
	}
	f.lines.Follow(names(now.Services))
	if err := f.node.SetServices(services(now.Services)); err != nil {
		f.lines.Follow(names(f.running.Services))
		return report, err
	}
	f.sites.follow(sites)
	f.notices.Follow(tells)
	log()
	f.log.SetLevel(now.LogLevel)
	f.running = now
	for _, change := range changes {
		report.Add(change.What, change.Live)
	}
	return report, nil
}
