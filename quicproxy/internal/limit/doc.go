// Package limit counts what strangers, nodes and public clients cost, and says no in time: handshakes, connections,
// memory, requests, log lines. Whoever allocates something for somebody else asks here first.
//
// It is pure: it knows no connection, no message and no socket, starts no goroutine, and its tests run without a tunnel.
package limit
