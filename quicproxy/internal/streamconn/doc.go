// Package streamconn makes a net.Conn from the stream of a relay, for programs that accept the connections of
// a service themselves.
package streamconn
