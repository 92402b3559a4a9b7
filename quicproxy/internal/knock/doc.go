// Package knock lets only clients that know a server's id begin a connection: a node knocks (Knocker), and the
// server opens its door for the address that the knock came from (Door; docs/protocol.md section 2).
//
// It must not open sockets, start goroutines, or admit a node: who has knocked is still a stranger.
package knock
