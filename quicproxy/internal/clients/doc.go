// Package clients limits the public connections of a program, and says which one makes room for another.
//
// It is pure: it must not know sockets or relays, close a connection other than by calling its evict, or start
// goroutines.
package clients
