// Package conn is what both ends of a connection between node and server know of QUIC: its settings, whether loss limits what
// it carries, and the datagrams that travel beside it on the same sockets.
//
// It decides nothing about sessions, relays or leases, opens no connection and no socket, and starts no goroutine.
package conn
