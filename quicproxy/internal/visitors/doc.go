// Package visitors decides who may visit a service: the rules that a node sends and those of the server, and what
// becomes of the visitors.
//
// It is pure: it must not know sockets or relays, or start goroutines. It does not count connections at once, which
// package clients does.
package visitors
