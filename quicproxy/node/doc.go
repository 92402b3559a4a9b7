// Package node keeps a connection to a server, leases public ports from it, and serves what arrives at them.
//
// [New] makes a [Node], validating without I/O; it lives as long as its Run. It reconnects whenever its
// connection ends or is suspect, or the network changes. [Node.Listen] gives a program the connections of a
// service without a local port.
//
// The package must not know how it is configured or who observes it, or import packages lease or server.
package node
