package main

import (
	"context"
	"errors"

	"apquic/internal/cli"
	"apquic/internal/monitor"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

// nodeMetrics are the numbers of the whole node.
var nodeMetrics = []struct {
	monitor.Metric
	value func(node.Status) float64
}{
	{monitor.Metric{Name: "apquic_node_connected", Help: "Whether there is a connection to the server."}, func(s node.Status) float64 { return monitor.Of(!s.Since.IsZero()) }},
	{monitor.Metric{Name: "apquic_node_sent_packets_total", Help: "QUIC packets sent over the connection to the server.", Kind: monitor.Counter}, func(s node.Status) float64 { return float64(s.Path.Sent) }},
	{monitor.Metric{Name: "apquic_node_lost_packets_total", Help: "Of these, those that were lost.", Kind: monitor.Counter}, func(s node.Status) float64 { return float64(s.Path.Lost) }},
}

// serviceMetrics are the numbers of each service.
var serviceMetrics = []struct {
	monitor.Metric
	value func(node.ServiceStatus) float64
}{
	{monitor.Metric{Name: "apquic_node_service_public", Help: "Whether visitors, or other nodes, can reach the server under an address of the service."}, func(s node.ServiceStatus) float64 {
		return monitor.Of(s.PublicAddress != "")
	}},
	{monitor.Metric{Name: "apquic_node_service_healthy", Help: "Whether the health check of the service succeeds, or it has none."}, func(s node.ServiceStatus) float64 { return monitor.Of(!s.Unhealthy) }},
	{monitor.Metric{Name: "apquic_node_service_relays", Help: "Public connections of the service now, with clients over UDP."}, func(s node.ServiceStatus) float64 { return float64(s.Relays) }},
}

var (
	nodeRTT     = monitor.Metric{Name: "apquic_node_rtt_seconds", Help: "Smoothed round trip time to the server, while there is a connection."}
	nodeRelays  = monitor.Metric{Name: "apquic_node_relays", Help: "Public connections that the node carries now."}
	dropped     = monitor.Metric{Name: "apquic_node_dropped_datagrams_total", Help: "Datagrams that went nowhere, by reason.", Kind: monitor.Counter, Labels: []string{"reason"}}
	lostLines   = monitor.Metric{Name: "apquic_node_access_log_lost_lines_total", Help: "Lines of the access log that were not written, since the disk was slow or full.", Kind: monitor.Counter}
	notLoggedIn = monitor.Metric{Name: "apquic_node_refused_visitors_total", Help: "Requests and handshakes of visitors that did not pass the login of a service, by reason.", Kind: monitor.Counter, Labels: []string{"service", "reason"}}
)

// monitored is what the node says of itself to programs that watch it, by what functions of it, of its sites and of
// its access log return.
func monitored(status func(context.Context) node.Status, relays func(live.Selection) ([]live.Relay, int), refused func(service string) map[string]uint64, linesLost func() uint64) monitor.Config {
	known := func() node.Status { // without asking upstreams or the server
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		return status(ended)
	}
	ready := func(context.Context) error {
		now := known()
		if now.Since.IsZero() {
			return errors.New("there is no connection to the server")
		}
		for _, s := range now.Services {
			if s.PublicAddress == "" {
				return errors.New("the service " + s.Service + " has no address")
			}
		}
		return nil
	}
	collect := func(_ context.Context, page *monitor.Page) error {
		now := known()
		_, running := relays(live.Selection{Limit: 1})
		page.Add(nodeRelays, float64(running))
		page.Add(lostLines, float64(linesLost()))
		tellNode(page, now)
		for _, s := range now.Services {
			for reason, n := range refused(s.Service) {
				page.Add(notLoggedIn, float64(n), s.Service, reason)
			}
		}
		return nil
	}
	return monitor.Config{Version: "apquic-node " + cli.Version(), Ready: ready, Collect: collect}
}

// tellNode adds the numbers of a status.
func tellNode(page *monitor.Page, s node.Status) {
	for _, m := range nodeMetrics {
		page.Add(m.Metric, m.value(s))
	}
	if !s.Since.IsZero() {
		page.Add(nodeRTT, s.Path.RTT.Seconds())
	}
	for reason, n := range s.DatagramsDropped {
		page.Add(dropped, float64(n), reason)
	}
	for _, service := range s.Services {
		for _, m := range serviceMetrics {
			m.Labels, m.Many = []string{"service"}, true
			page.Add(m.Metric, m.value(service), service.Service)
		}
	}
}
