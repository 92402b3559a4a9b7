// Package retry says when a node tries again: pauses that grow, and what the server asked for.
//
// It must not know connections, or do anything itself.
package retry
