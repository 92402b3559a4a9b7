package account

import "apquic/framing"

// Limits are what the node is told that it may have: so many services, or own if that is neither 0 nor more, and relays.
// How often it may ask for services follows from services. The account notes what holds from now on.
func (a *Account) Limits(services, own, relays int) *framing.Limits {
	a.Requests.SetServices(services)
	a.maxRelays.Store(int64(relays))
	if own > 0 {
		services = min(services, own)
	}
	return &framing.Limits{
		MaxServices: uint32(services), MaxRelays: uint32(relays),
		RequestBurst: uint32(RequestBurst(services)), RequestsPerMinute: RequestsPerMinute,
	}
}

// MaxRelays is how many relays the node may have at once.
func (a *Account) MaxRelays() int { return int(a.maxRelays.Load()) }
