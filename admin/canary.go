package admin

import (
	"apquic/lease"
	"apquic/quicproxy/live"
)

// addCanaries adds what the server knows of the services that it asks.
func (status *Status) addCanaries(all map[lease.Key]live.Canary) {
	for i := range status.Services {
		s := &status.Services[i]
		if c, ok := all[lease.Key{Node: s.Node, Service: s.Service}]; ok {
			s.Canary = &Canary{Every: c.Every.Seconds(), Proved: orNone(c.Last), Failing: c.Failing, Since: orNone(c.Since), Proofs: c.Proofs, Failures: c.Failures}
		}
	}
}

// addCounts adds what is counted outside of the server.
func (a *Authority) addCounts(status *Status) {
	if a.LinesLost != nil && status.Counters != nil {
		status.Counters.LinesLost = a.LinesLost()
	}
	if a.Logins != nil {
		status.Logins = a.Logins()
	}
}
