// Package limit counts what strangers, nodes and public clients cost, and refuses in time: handshakes,
// connections, memory, requests, log lines. Code that allocates something for somebody else asks here first.
//
// It is pure: it must not know connections, messages or sockets, or start goroutines.
package limit
