// Package strangers has the connections of a server that have not been admitted, and the entrance before QUIC, which lets
// only those begin a connection that know the server's id.
//
// It decides nothing about who is admitted, and reads no message.
package strangers
