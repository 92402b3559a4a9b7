package server

import (
	"cmp"

	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy/server/internal/account"
)

// limits is what the server allows the node, as Welcome states it.
func (c *nodeConn) limits() *framing.Limits {
	services := cmp.Or(c.server.config.MaxServices, lease.DefaultMaxPerNode)
	if own := c.admission.ServicesNow(); own > 0 {
		services = min(services, own)
	}
	return &framing.Limits{
		MaxServices: uint32(services), MaxRelays: uint32(c.server.maxRelaysOfNode()),
		RequestBurst: uint32(account.RequestBurst(services)), RequestsPerMinute: account.RequestsPerMinute,
	}
}
