// Package path is what both sides know of the path between them: whether it loses packets, whether the peer answers, and the
// datagrams that travel beside QUIC on the same sockets (docs/protocol.md sections 2, 5.9 and 9).
//
// It is told the time and QUIC's counters. It decides nothing about sessions or relays, opens no socket, and starts no
// goroutine.
package path
