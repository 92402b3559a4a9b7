// Package flowlimit limits the flows of a program, and says which one makes room for another.
//
// A flow over UDP differs from a connection (package clients): its client may be forged, and it costs little to
// lose, since the next datagram makes a new one. So a new flow always gets a place.
//
// It is pure: it must not know sockets, end a flow other than by calling its end, or start goroutines.
package flowlimit
