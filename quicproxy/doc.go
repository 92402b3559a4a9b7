// Package quicproxy is the tunnel: a Server that leases public TCP ports to nodes, and a Node that serves
// what arrives at its ports.
//
// A [Node] keeps one QUIC connection to a [Server]. The server leases a public port to each service of the
// node; every TCP connection to that port becomes a relay: a QUIC stream of its own, from the server to the
// node, and from there a connection to the service. docs/protocol.md specifies what travels between the two,
// docs/architecture.md shows the way of a connection through these files.
//
// Server and Node live in one package because they share the control stream, the relay and the QUIC
// settings. Both are made by a constructor that validates and does no I/O, and live as long as their Run.
//
// The package must not know where leases are stored, how it is configured, or who watches it: stores come
// in as [lease.Store], settings as [ServerConfig] and [NodeConfig], and observers read [Server.Status].
package quicproxy
