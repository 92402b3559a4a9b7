// Package server accepts nodes, leases public ports to them, and relays the connections to these ports to the
// nodes.
//
// [New] makes a [Server], validating without I/O; it lives as long as its Run. A node has one session of one
// or more connections; lanes carry only relays.
//
// The package must not know where leases are stored, how it is configured, or who observes it: a
// [apquic/lease.Store] is passed in, settings are [Config], and observers read [Server.Status]. It must not
// know more about nodes than docs/protocol.md says, or import package node.
package server
