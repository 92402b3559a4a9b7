// Package path is what both sides know about the path between them: whether it loses packets, whether the
// peer answers, and the datagrams that travel beside QUIC on the same sockets (docs/protocol.md sections 5.9
// and 9).
//
// It is told the time and QUIC's counters. It must not decide about sessions or relays, open sockets, or
// start goroutines.
package path
