// Package strangers holds the connections of a server that have not been admitted, and the entrance before
// QUIC, which lets only clients that know the server's id begin a connection.
//
// It must not decide who is admitted, or read messages.
package strangers
