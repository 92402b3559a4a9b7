// Package handshakes accounts for what connections that have not been admitted cost a server, before QUIC gets
// their datagrams, and refuses in time.
//
// It is pure: it must not parse packets, know QUIC connections or sockets, or start goroutines.
package handshakes
