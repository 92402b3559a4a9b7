package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"apquic/internal/monitor/monitortest"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

// TestMetrics: what a node says at /metrics is what its status has, under names that keep the conventions and are in the
// document; nobody else is asked for it. It is ready once each of its services has an address.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var now node.Status
	config := monitored(func(ctx context.Context) node.Status {
		if ctx.Err() == nil {
			t.Error("upstreams are asked")
		}
		return now
	}, func(live.Selection) ([]live.Relay, int) { return nil, 7 }, func(service string) map[string]uint64 { return map[string]uint64{"password": 2} }, func() uint64 { return 9 })
	if config.Ready(t.Context()) == nil {
		t.Error("ready without a connection")
	}
	if page := monitortest.Scrape(t, config); !strings.Contains(page, "\napquic_node_connected 0\n") || strings.Contains(page, "apquic_node_rtt_seconds") {
		t.Error(page)
	}
	now = node.Status{
		Since: time.Now(), Path: live.Path{RTT: 18 * time.Millisecond, Sent: 100, Lost: 2}, DatagramsDropped: map[string]uint64{"away": 3},
		Services: []node.ServiceStatus{
			{Service: "web", PublicAddress: "tcp://tunnel.example.com:20000", Relays: 5, Upstream: context.Canceled},
			{Service: "printer", Refusal: errors.New("in use"), Unhealthy: true},
		},
	}
	if config.Ready(t.Context()) == nil {
		t.Error("ready without an address")
	}
	page := monitortest.Scrape(t, config)
	for _, line := range []string{
		`apquic_node_connected 1`, `apquic_node_rtt_seconds 0.018`, `apquic_node_sent_packets_total 100`, `apquic_node_lost_packets_total 2`, `apquic_node_relays 7`,
		`apquic_node_dropped_datagrams_total{reason="away"} 3`, `apquic_node_service_public{service="web"} 1`, `apquic_node_service_public{service="printer"} 0`,
		`apquic_node_service_healthy{service="printer"} 0`, `apquic_node_service_healthy{service="web"} 1`, `apquic_node_service_relays{service="web"} 5`,
		`apquic_node_access_log_lost_lines_total 9`, `apquic_node_refused_visitors_total{reason="password",service="web"} 2`,
	} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("there is no %s in\n%s", line, page)
		}
	}
	monitortest.Documented(t, page, "../../docs/metrics.md", "apquic_node_")
	now.Services = now.Services[:1]
	if err := config.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
