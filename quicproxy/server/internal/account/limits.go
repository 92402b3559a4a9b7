package account

import "apquic/framing"

// Limits are what the node is told that it may have: so many services, or own if that is neither 0 nor more, and relays.
// How often it may ask for services follows from services.
func (a *Account) Limits(services, own, relays int) *framing.Limits {
	a.Requests.SetServices(services)
	if own > 0 {
		services = min(services, own)
	}
	return &framing.Limits{
		MaxServices: uint32(services), MaxRelays: uint32(relays),
		RequestBurst: uint32(RequestBurst(services)), RequestsPerMinute: RequestsPerMinute,
	}
}
