package server

import (
	"context"
	"log/slog"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy/admission"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/server/internal/audit"
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
	s.log.Info(AuditMessage, audit.Lease(e, admitted, from)...)
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

// nameOf returns what the operator calls a node; empty: not known.
func (s *Server) nameOf(node certs.NodeID) string {
	admitted, _ := s.whoIs(node)
	return admitted.Name
}
