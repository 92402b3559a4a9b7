// Package carrier is a connection that carries relays between a server and a node, as both sides have it, and
// the memory budget for what peers do not read.
//
// It must not know sessions, leases, dials, or which of the two sides it is on.
package carrier
