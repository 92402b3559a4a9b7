// Package keepalive learns how rarely a node may send keepalives: how long the NAT of the node's present
// network keeps an idle mapping (RFC 4787 section 4.3), by tries on mappings that nothing depends on.
//
// It is pure. It is told the time, what the server answered, what came late or not at all, and how tries
// ended; it says when the next keepalive is due, and which idle time to try next. It must not know
// connections, messages or sockets, or start goroutines.
package keepalive
