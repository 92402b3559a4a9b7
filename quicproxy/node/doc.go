// Package node keeps a connection to a server, has it lease public ports, and serves what arrives at them.
//
// A [Node] is made by [New], which validates and does no I/O, and lives as long as its Run. It connects again whenever its
// connection ends, is in doubt, or the network changes; [Node.Listen] gives a program the connections of a service without
// a local port.
//
// The package must not know how it is configured or who watches it, and never imports packages lease or server.
package node
