// Package watch notices what happens to the connections of a node that QUIC does not tell.
//
// It must not know nodes, or decide what follows.
package watch
