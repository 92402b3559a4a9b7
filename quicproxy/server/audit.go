package server

import (
	"cmp"
	"context"
	"log/slog"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/loglimit"
	"apquic/quicproxy/internal/netaddr"
)

// AuditMessage marks the log lines about who may do what: one for each join, dismissal and change of a lease
// here, and for each invitation, allow and revoke in package admin. Their attribute "event" says which; event
// names never change.
const AuditMessage = "audit"

// audit logs an event of a node.
func (c *nodeConn) audit(event string, attributes ...any) {
	c.log.Info(AuditMessage, append([]any{slog.String("event", event)}, attributes...)...)
}

// auditLease logs who has which port or domain from now on.
func (s *Server) auditLease(e lease.Event) {
	admitted, from := s.whoIs(e.Node)
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
	s.log.Info(AuditMessage, attributes...)
}

// whoIs returns what the operator says about a node, and its network if it is here.
func (s *Server) whoIs(node certs.NodeID) (admitted admission.Admission, from string) {
	if c := s.registry.primary(node); c != nil {
		return c.admission, netaddr.Customer(netaddr.Endpoint(c.QUIC.RemoteAddr()).Addr()).String()
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	admitted, _ = s.config.Admit.Admit(ctx, admission.Applicant{Node: node}) // zero for a refused node
	return admitted, ""
}
