// Package conn is what both ends of a connection between node and server share: QUIC's settings, the control stream with its
// signed messages, and how the end of a connection is told, to the peer and to people.
//
// It decides nothing about sessions, relays or leases, and opens no connection and no socket.
package conn
