// Package retry says when a node tries again: pauses that grow, and what the server asked for.
//
// It knows no connection and does nothing itself.
package retry
