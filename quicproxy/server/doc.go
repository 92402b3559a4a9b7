// Package server accepts nodes, leases public ports to them, and relays the connections to these ports to the nodes.
//
// A [Server] is made by [New], which validates and does no I/O, and lives as long as its Run. A node has a session, of one
// or more connections; lanes carry relays and nothing else.
//
// The package must not know where leases are stored, how it is configured, or who watches it: stores come in as
// [apquic/lease.Store], settings as [Config], and observers read [Server.Status]. It knows nothing of nodes but what
// docs/protocol.md says, and never imports package node.
package server
