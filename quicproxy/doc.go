// Package quicproxy is the tunnel: a server that leases public TCP ports to nodes, and a node that serves
// what arrives at its ports.
//
// A [apquic/quicproxy/node.Node] keeps one QUIC connection to a [apquic/quicproxy/server.Server]. The server
// leases a public port to each service of the node. Every TCP connection to that port becomes a relay: a QUIC
// stream of its own, from the server to the node, and from there a connection to the service.
// docs/protocol.md specifies what the two exchange; docs/architecture.md shows the way of a connection
// through these packages.
//
// This package holds only what both sides share, and the tests of the whole tunnel. It must not import either
// side.
package quicproxy
