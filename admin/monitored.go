package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"apquic/certs"
	"apquic/internal/monitor"
	"apquic/quicproxy/live"
)

// The labels of what belongs to a node, and to a service. The node is its name, or its id if it has none; a group
// belongs to none.
var ofNode, ofService = []string{"node"}, []string{"node", "service"}

// nodeMetrics are the numbers of each node that is online.
var nodeMetrics = []struct {
	monitor.Metric
	value func(*Connection) float64
}{
	{monitor.Metric{Name: "apquic_server_node_rtt_seconds", Help: "Smoothed round trip time to the node.", Apart: true}, func(c *Connection) float64 { return c.RTT / 1000 }},
	{monitor.Metric{Name: "apquic_server_node_relays", Help: "Public connections that the node carries now."}, func(c *Connection) float64 { return float64(c.Relays) }},
	{monitor.Metric{Name: "apquic_server_node_sent_packets_total", Help: "QUIC packets sent to the node over its primary connection.", Kind: monitor.Counter}, func(c *Connection) float64 { return float64(c.Sent) }},
	{monitor.Metric{Name: "apquic_server_node_lost_packets_total", Help: "Of these, those that were lost.", Kind: monitor.Counter}, func(c *Connection) float64 { return float64(c.Lost) }},
}

var nodeOnline = monitor.Metric{Name: "apquic_server_node_online", Help: "Whether the node is connected; of the others, how many are.", Labels: ofNode, Many: true}

// serviceMetrics are the numbers of each service.
var serviceMetrics = []struct {
	monitor.Metric
	value func(Service) float64
}{
	{monitor.Metric{Name: "apquic_server_service_up", Help: "Whether the service has a node that is connected, and does not fail its health check; of the others, how many do."}, func(s Service) float64 {
		return monitor.Of(s.isUp())
	}},
	{monitor.Metric{Name: "apquic_server_service_relays", Help: "Public connections of the service now, with those that wait for its node."}, func(s Service) float64 { return float64(s.Connections) }},
	{monitor.Metric{Name: "apquic_server_service_flows", Help: "Clients of the service over UDP now."}, func(s Service) float64 { return float64(s.Flows) }},
	{monitor.Metric{Name: "apquic_server_service_received_bytes_total", Help: "Bytes from visitors of the service.", Kind: monitor.Counter}, func(s Service) float64 { return float64(s.In) }},
	{monitor.Metric{Name: "apquic_server_service_sent_bytes_total", Help: "Bytes to visitors of the service.", Kind: monitor.Counter}, func(s Service) float64 { return float64(s.Out) }},
	{monitor.Metric{Name: "apquic_server_service_refused_total", Help: "Visitors whom rules of the service or of the server refused.", Kind: monitor.Counter}, func(s Service) float64 {
		return float64(s.Refused.Networks + s.Refused.Countries + s.Refused.Connections + s.Refused.Rate)
	}},
}

// canaryMetrics are the numbers of each service that the server asks.
var canaryMetrics = []struct {
	monitor.Metric
	value func(*Canary, time.Time) float64
}{
	{monitor.Metric{Name: "apquic_server_service_canary_up", Help: "Whether the service answered its last canary; of the others, how many did."}, func(c *Canary, _ time.Time) float64 {
		return monitor.Of(c.Failing == "" && c.Proved != nil)
	}},
	{monitor.Metric{Name: "apquic_server_service_proof_age_seconds", Help: "How long ago the service answered a canary; before the first answer there is none.", Apart: true}, func(c *Canary, now time.Time) float64 {
		return now.Sub(*c.Proved).Seconds()
	}},
	{monitor.Metric{Name: "apquic_server_service_proofs_total", Help: "Canaries that the service answered.", Kind: monitor.Counter}, func(c *Canary, _ time.Time) float64 { return float64(c.Proofs) }},
	{monitor.Metric{Name: "apquic_server_service_failed_canaries_total", Help: "Canaries that the service did not answer.", Kind: monitor.Counter}, func(c *Canary, _ time.Time) float64 { return float64(c.Failures) }},
}

// isUp reports whether visitors are carried.
func (s Service) isUp() bool {
	if s.IsGroup() {
		return slices.ContainsFunc(s.Members, func(m Member) bool { return m.State == Online && !m.Unhealthy })
	}
	return s.State == Online && !s.Unhealthy
}

// Monitored is what a server says of itself to programs that watch it. serving reports whether it has begun and was not
// told to stop.
func (a *Authority) Monitored(serving func() bool) monitor.Config {
	ready := func(context.Context) error {
		if !serving() {
			return errors.New("it has not begun, or stops")
		}
		now := a.Core.Budgets() // strangers ask: no snapshot of all nodes
		return errors.Join(room("public connections", now.Clients), room("open files", now.Files))
	}
	collect := func(ctx context.Context, page *monitor.Page) error {
		nodes, err := a.ListNodes(ctx)
		if err != nil {
			return err
		}
		status, err := a.Status(ctx)
		if err != nil {
			return err
		}
		tellServer(page, status)
		tellNodes(page, nodes)
		tellServices(page, status.Services, nodes)
		return nil
	}
	return monitor.Config{Version: a.Version, Ready: ready, Collect: collect}
}

// room returns an error if a limit is reached.
func room(what string, u live.Usage) error {
	if u.Limit > 0 && u.Used >= u.Limit {
		return fmt.Errorf("there are %d %s, as many as there may be", u.Used, what)
	}
	return nil
}

// tellNodes adds the numbers of nodes: to the rest, those of nodes that the operator does not know.
func tellNodes(page *monitor.Page, nodes []Node) {
	states := map[string]int{Online: 0, Away: 0, SentAway: 0}
	for _, n := range nodes {
		states[n.State]++
		if n.State == SentAway {
			continue
		}
		name, online := nameOf(n.Name, n.ID), nodeOnline
		online.Foreign = !n.Known
		page.Add(online, monitor.Of(n.State == Online), name)
		if n.Connection == nil {
			continue
		}
		for _, m := range nodeMetrics {
			m.Labels, m.Many, m.Foreign = ofNode, true, !n.Known
			page.Add(m.Metric, m.value(n.Connection), name)
		}
	}
	for state, n := range states {
		page.Add(monitor.Metric{Name: "apquic_server_nodes", Help: "Nodes that are allowed, revoked, or here, by state.", Labels: []string{"state"}}, float64(n), state)
	}
}

// tellServices adds the numbers of services, likewise. Those of revoked nodes have none: they are not missed.
func tellServices(page *monitor.Page, services []Service, nodes []Node) {
	now := time.Now()
	isKnown := make(map[certs.NodeID]bool)
	for _, n := range nodes {
		isKnown[n.ID] = n.Known
	}
	for _, s := range services {
		if s.State == SentAway {
			continue
		}
		owner, foreign := "", false
		if !s.IsGroup() {
			owner, foreign = nameOf(s.Name, s.Node), !isKnown[s.Node]
		}
		for _, m := range serviceMetrics {
			m.Labels, m.Many, m.Foreign = ofService, true, foreign
			page.Add(m.Metric, m.value(s), owner, s.Service)
		}
		for _, m := range canaryMetrics {
			if s.Canary == nil || m.Apart && s.Canary.Proved == nil {
				continue
			}
			m.Labels, m.Many, m.Foreign = ofService, true, foreign
			page.Add(m.Metric, m.value(s.Canary, now), owner, s.Service)
		}
	}
}
