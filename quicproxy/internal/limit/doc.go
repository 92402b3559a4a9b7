// Package limit counts what somebody does or has, and refuses in time: how often, how many messages, how many
// at once.
//
// It is pure: it must not know connections, messages or sockets, or start goroutines.
package limit
