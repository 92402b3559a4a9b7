// Package keepalive learns how rarely a node may send keepalives: how long the NAT of the network that the node is in keeps
// an idle mapping (RFC 4787 section 4.3), with tries on mappings that nothing depends on.
//
// It is pure. It is told the time, what the server answered, what came late or not at all, and how the tries ended; it says
// when the next keepalive is due, and which idle time to try next. It knows no connection, no message and no socket, starts
// no goroutine, and its tests run without a tunnel.
package keepalive
