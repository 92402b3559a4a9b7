// Package public is the public side of a server: the listeners of the leased ports, and their clients until a
// connection of a node takes them.
//
// It must not know sessions, QUIC, or who may have a lease.
package public
