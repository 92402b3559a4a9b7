// Package quicproxy is the tunnel: a server that leases public TCP ports to nodes, and a node that serves what arrives at
// its ports.
//
// A [apquic/quicproxy/node.Node] keeps one QUIC connection to a [apquic/quicproxy/server.Server]. The server leases a public
// port to each service of the node; every TCP connection to that port becomes a relay: a QUIC stream of its own, from the
// server to the node, and from there a connection to the service. docs/protocol.md specifies what travels between the two,
// docs/architecture.md shows the way of a connection through these packages.
//
// Here is only what both sides share, and the tests of the whole tunnel. The package must not import either side.
package quicproxy
