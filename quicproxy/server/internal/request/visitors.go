package request

import (
	"apquic/framing"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/server/internal/failure"
)

// readVisitors returns who may visit the service that a request is for, or the failure that answers it.
func readVisitors(r *framing.ProxyRequest, countries bool) (quicproxy.Visitors, error) {
	rules, err := visitors.Read(r.Visitors)
	if err != nil {
		return rules, failure.BadRequest(err)
	}
	if visitors.NeedsCountries(rules) && !countries {
		return rules, failure.NoCountries()
	}
	return rules, nil
}
