package server

import (
	"apquic/framing"
	"apquic/quicproxy/server/internal/account"
)

// limits is what the server allows the node, as Welcome states it.
func (c *nodeConn) limits() *framing.Limits {
	services := c.server.lessor.MaxPerNode()
	if own := c.admission.ServicesNow(); own > 0 {
		services = min(services, own)
	}
	return &framing.Limits{
		MaxServices: uint32(services), MaxRelays: uint32(c.server.maxRelaysOfNode()),
		RequestBurst: uint32(account.RequestBurst(services)), RequestsPerMinute: account.RequestsPerMinute,
	}
}
