package quicproxy

import (
	"cmp"

	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/internal/limit"
)

// limits are what the server allows the node, as Welcome tells it.
func (c *nodeConn) limits() *framing.Limits {
	services := cmp.Or(c.server.config.MaxServices, lease.DefaultMaxPerNode)
	if own := c.admission.services(); own > 0 {
		services = min(services, own)
	}
	return &framing.Limits{
		MaxServices: uint32(services), MaxRelays: uint32(c.server.maxRelaysOfNode()),
		RequestBurst: uint32(limit.RequestBurst(services)), RequestsPerMinute: limit.RequestsPerMinute,
	}
}

// heedLimits tells, when they are news, that the server allows less than the node wants. The server refuses what is too
// much, one by one; here all of it is said at once.
func (n *Node) heedLimits(limits *framing.Limits) {
	most := int(limits.GetMaxServices())
	n.mu.Lock()
	services, told := len(n.services), n.toldServices
	n.toldServices = most
	n.mu.Unlock()
	if most > 0 && most != told && services > most {
		n.log.Warn("the server allows fewer services than this node has; the last ones get no public address",
			"services", services, "allowed", most, "hint", "expose fewer services, or raise --max-services on the server")
	}
}
