// Package conn is what both ends of a connection between node and server share: the control stream with its
// signed messages, and how the end of a connection is reported to the peer and to people.
//
// It must not decide about sessions, relays or leases, or open connections or sockets.
package conn
