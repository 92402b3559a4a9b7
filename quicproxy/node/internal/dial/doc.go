// Package dial connects to a server that may have several addresses.
//
// It must not open sockets, or send messages.
package dial
