package admin

import "apquic/internal/monitor"

// serverMetrics are the numbers of the whole server.
var serverMetrics = []struct {
	monitor.Metric
	value func(Status) float64
}{
	{monitor.Metric{Name: "apquic_server_relays_total", Help: "Public connections that reached their node.", Kind: monitor.Counter}, func(s Status) float64 { return float64(s.Counters.Connections) }},
	{monitor.Metric{Name: "apquic_server_received_bytes_total", Help: "Bytes from visitors.", Kind: monitor.Counter}, func(s Status) float64 { return float64(s.Counters.In) }},
	{monitor.Metric{Name: "apquic_server_sent_bytes_total", Help: "Bytes to visitors.", Kind: monitor.Counter}, func(s Status) float64 { return float64(s.Counters.Out) }},
	{monitor.Metric{Name: "apquic_server_answered_total", Help: "Requests of visitors that the server answered itself, mostly sent to https.", Kind: monitor.Counter}, func(s Status) float64 { return float64(s.Counters.Answered) }},
	{monitor.Metric{Name: "apquic_server_stalled_relays_total", Help: "Public connections that were reset for lack of memory.", Kind: monitor.Counter}, func(s Status) float64 { return float64(s.Counters.Stalled) }},
	{monitor.Metric{Name: "apquic_server_datagrams_to_nodes_total", Help: "Datagrams of visitors over UDP that went to nodes.", Kind: monitor.Counter}, func(s Status) float64 { return float64(s.Counters.DatagramsToNodes) }},
	{monitor.Metric{Name: "apquic_server_datagrams_from_nodes_total", Help: "Datagrams that came from nodes.", Kind: monitor.Counter}, func(s Status) float64 { return float64(s.Counters.DatagramsFromNodes) }},
	{monitor.Metric{Name: "apquic_server_access_log_lost_lines_total", Help: "Lines of the access log that were not written, since the disk was slow or full.", Kind: monitor.Counter}, func(s Status) float64 { return float64(s.Counters.LinesLost) }},
	{monitor.Metric{Name: "apquic_server_memory_bytes", Help: "Bytes held for nodes and visitors."}, func(s Status) float64 { return float64(s.Budgets.Memory.Used) }},
	{monitor.Metric{Name: "apquic_server_memory_limit_bytes", Help: "How many there may be."}, func(s Status) float64 { return float64(s.Budgets.Memory.Limit) }},
	{monitor.Metric{Name: "apquic_server_clients", Help: "Public connections, and sockets of leases."}, func(s Status) float64 { return float64(s.Budgets.Clients.Used) }},
	{monitor.Metric{Name: "apquic_server_clients_limit", Help: "How many there may be."}, func(s Status) float64 { return float64(s.Budgets.Clients.Limit) }},
	{monitor.Metric{Name: "apquic_server_flows", Help: "Clients over UDP."}, func(s Status) float64 { return float64(s.Budgets.Flows.Used) }},
	{monitor.Metric{Name: "apquic_server_flows_limit", Help: "How many there may be."}, func(s Status) float64 { return float64(s.Budgets.Flows.Limit) }},
	{monitor.Metric{Name: "apquic_server_leased_ports", Help: "Public ports that have a service."}, func(s Status) float64 { return float64(s.Used) }},
	{monitor.Metric{Name: "apquic_server_ports", Help: "Public ports that there are."}, func(s Status) float64 { return float64(s.Ports) }},
	{monitor.Metric{Name: "apquic_server_leased_domains", Help: "Domains that have a service."}, func(s Status) float64 { return float64(s.Domains) }},
}

var (
	byReason    = []string{"reason"}
	refused     = monitor.Metric{Name: "apquic_server_refused_total", Help: "Public connections that were reset without reaching a node, by reason.", Kind: monitor.Counter, Labels: byReason}
	dropped     = monitor.Metric{Name: "apquic_server_dropped_datagrams_total", Help: "Datagrams that went nowhere, by reason.", Kind: monitor.Counter, Labels: byReason}
	notLoggedIn = monitor.Metric{Name: "apquic_server_refused_logins_total", Help: "Visitors that did not pass the login of a domain, by reason.", Kind: monitor.Counter, Labels: byReason}
	lasted      = monitor.Metric{Name: "apquic_server_relay_duration_seconds", Help: "How long public connections lasted that have ended."}
	firstByte   = monitor.Metric{Name: "apquic_server_relay_first_byte_seconds", Help: "How long public connections that have ended waited for the first byte of their service."}
	canaryTook  = monitor.Metric{Name: "apquic_server_canary_duration_seconds", Help: "How long services took to answer a canary: to the node, its connection to the upstream, and back."}
	relayRTT    = monitor.Metric{Name: "apquic_server_relay_rtt_seconds", Help: "Smoothed round trip time to the node, when a public connection ended."}
)

// tellServer adds the numbers of the whole server. One that does not run has none.
func tellServer(page *monitor.Page, s Status) {
	if s.Counters == nil || s.Budgets == nil {
		return
	}
	for _, m := range serverMetrics {
		page.Add(m.Metric, m.value(s))
	}
	for reason, n := range s.Counters.RefusedBy {
		page.Add(refused, float64(n), reason)
	}
	for reason, n := range s.Counters.DatagramsDropped {
		page.Add(dropped, float64(n), reason)
	}
	for _, reasons := range s.Logins {
		for reason, n := range reasons {
			page.Add(notLoggedIn, float64(n), reason)
		}
	}
	page.AddHistogram(lasted, s.Counters.Lasted)
	page.AddHistogram(relayRTT, s.Counters.RTTs)
	page.AddHistogram(firstByte, s.Counters.FirstBytes)
	page.AddHistogram(canaryTook, s.Counters.Canaries)
}
