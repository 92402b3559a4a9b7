package events

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// eventKey is the attribute by which audit lines, which all have the same message, say what happened.
const (
	eventKey     = "event"
	auditMessage = "audit"
)

// other is the name of events that have none of their own.
const other = "log"

// Names of what only notices tell: somebody has been away for a while, and is back after that.
const (
	NodeAway   = "node-away"
	NodeBack   = "node-back"
	ServerAway = "server-away"
	ServerBack = "server-back"
)

// Names returns the names that events can have, in order.
func Names() []string {
	all := slices.Concat(audited, slices.Collect(maps.Values(named)), []string{other, NodeAway, NodeBack, ServerAway, ServerBack})
	slices.Sort(all)
	return slices.Compact(all)
}

// audited are the events of audit lines.
var audited = []string{
	"join", "invite", "withdraw", "allow", "revoke", "kick", "pin", "unpin", "limit", "dismiss", "backup", "drain", "lease-given", "lease-moved", "lease-lost", "lease-released",
}

// named are the events by the messages of their lines, up to the first punctuation mark. Names never change;
// docs/events.md says what they mean.
var named = map[string]string{
	"listening for nodes": "started",
	"stopping":            "stopping",

	"node connected":                            "node-connected",
	"node disconnected":                         "node-disconnected",
	"node stops":                                "node-stops",
	"node roamed":                               "node-roamed",
	"the node does not answer":                  "node-silent",
	"node refused":                              "node-refused",
	"two processes use the key of this node":    "node-twice",
	"the list of authorized nodes has mistakes": "authorized-nodes-invalid",

	"lease":                                  "lease",
	"lease released":                         "lease-given-up",
	"address changed":                        "address-changed",
	"the service does not answer its canary": "canary-failed",
	"the service answers its canary again":   "canary-works",
	"request refused":                        "request-refused",
	"connect":                                "private-connect",

	"the node has used up its bytes of this month": "budget-reached",
	"totals cannot be written":                     "totals-failed",

	"public connection refused":                                                                               "client-refused",
	"a public connection was reset to make room for another one":                                              "limit-reached",
	"a client was reset because the memory budget is used up":                                                 "limit-reached",
	"a relay was reset because its reader does not read and the memory budget is used up":                     "limit-reached",
	"a relay was reset because the other side does not ack what it was sent and the memory budget is used up": "limit-reached",
	"a connection was closed because its streams hold too much and the memory budget is used up":              "limit-reached",
	"accepting a public connection failed":                                                                    "limit-reached",

	"the domain has a certificate":                  "certificate",
	"no certificate yet":                            "certificate-failed",
	"the certificate was not renewed and ends soon": "certificate-failed",

	"somebody came with a wrong token to the admin address": "admin-refused",

	"a setting has changed":             "setting-changed",
	"a changed setting needs a restart": "setting-needs-restart",
	"the settings were not reloaded":    "reload-failed",

	"lines of the access log were lost":   "access-lines-lost",
	"the access log was not opened again": "access-log-failed",

	"a notice was not delivered": "notice-failed",

	"connecting":             "connecting",
	"connected":              "connected",
	"not connected":          "not-connected",
	"the server is stopping": "server-stopping",
	"no public address":      "no-public-address",
	"the service is unhealthy and gets no new clients": "service-unhealthy",
	"the service is healthy again":                     "service-healthy",
	"the service cannot be reached":                    "service-unreachable",
	"the service can be reached again":                 "service-reachable",
	"visitors were refused":                            "visitors-refused",
}

// nameOf returns the name of the event that a line is about.
func nameOf(line slog.Record) string {
	if line.Message == auditMessage {
		name := other
		line.Attrs(func(a slog.Attr) bool {
			if a.Key == eventKey && slices.Contains(audited, a.Value.String()) {
				name = a.Value.String()
			}
			return name == other
		})
		return name
	}
	if name := named[beginning(line.Message)]; name != "" {
		return name
	}
	return other
}

// beginning is a message up to the first punctuation mark; what follows may differ from line to line.
func beginning(message string) string {
	if i := strings.IndexAny(message, ":;,"); i >= 0 {
		return message[:i]
	}
	return message
}
