package quicproxy

import "log/slog"

// AuditMessage marks the lines of the log that say who may do what: one for each join, dismissal and change of a
// lease here, and for each invitation, allow and revoke in package admin. Their attribute "event" says which; the
// names of events do not change.
const AuditMessage = "audit"

// audit logs an event of a node.
func (c *nodeConn) audit(event string, attributes ...any) {
	c.log.Info(AuditMessage, append([]any{slog.String("event", event)}, attributes...)...)
}
