// Package carrier is a connection between a server and a node that carries relays, as both sides have it, and the budget
// of memory for what its peers leave unread.
//
// It must not know sessions, leases, dials, or which of the two sides it is on.
package carrier
