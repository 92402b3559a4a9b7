// Package audit has the attributes of log lines about who may do what.
//
// It must not log them.
package audit

import (
	"cmp"

	"apquic/lease"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/loglimit"
)

// Lease says who has which port or domain from now on; admitted is what the operator says about the node, and from its
// network; empty: it is away.
func Lease(e lease.Event, admitted admission.Admission, from string) []any {
	attributes := []any{"event", "lease-given", "node", e.Node, "name", admitted.Name, "service", e.Service, e.Endpoint().Attr()}
	if e.IsGroup() {
		attributes, admitted.Known = []any{"event", "lease-given", "group", e.Service, e.Endpoint().Attr()}, true
	}
	switch {
	case e.Ended != "":
		attributes = append(attributes, "reason", string(e.Ended))
		attributes[1] = "lease-lost"
	case !e.Previous.IsZero():
		attributes = append(attributes, "previous", e.Previous.String())
		attributes[1] = "lease-moved"
	}
	if !admitted.Known && !e.Kept {
		attributes = append(attributes, loglimit.GuestKey, cmp.Or(from, "away"))
	}
	return attributes
}
