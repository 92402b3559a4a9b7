// Package flow carries UDP between a server and a node (docs/protocol.md section 6.6): it sends the datagrams
// of flows over a connection, fairly and without starving its streams, and receives them.
//
// It must not know clients, upstreams or sockets, or which of the two sides it is on.
package flow
