// Package flows is a node's part in UDP (docs/protocol.md section 6.6): a connected socket for each client of
// a service, and what it must never send to another client.
//
// It must not know connections or services but by what it is given.
package flows
