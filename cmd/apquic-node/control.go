package main

import (
	"net/http"

	"apquic/internal/cli"
	"apquic/internal/dashboard"
	"apquic/internal/monitor"
	"apquic/internal/nodeapi"
)

// answer answers the owner of the node until stop is called. The node also works without the socket.
func (f *follower) answer(reloads, leaves http.Handler) (stop func(), err error) {
	handler := nodeapi.Handler(nodeapi.Config{
		Node: f.node, Version: "apquic-node " + cli.Version(), Refused: f.sites.refused, Events: f.hub, Left: f.left, Reload: reloads, Leave: leaves,
	})
	config := f.running
	at := config.Control(config.DataDir, f.key, f.log.Logger).WithPage(dashboard.Handler(), dashboard.CommandOf("apquic-node", config.DataDir))
	at.Optional = true
	return at.Answer(monitor.Beside(handler, monitored(f.node.Status, f.node.Relays, f.sites.refused, f.access.Lost)))
}
