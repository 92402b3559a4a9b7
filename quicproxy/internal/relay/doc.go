// Package relay joins a stream between a server and a node with a TCP connection: bytes untouched, FIN for FIN
// in each direction on its own, RST for reset (docs/protocol.md section 6). An idle relay holds no buffer.
//
// It must not know how a stream goes on, only that one may be taken back before the other side has seen it.
package relay
