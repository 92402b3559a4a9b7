// Package reason says what the end of a connection, or a refusal, means to a node, and what its owner can do
// about it.
package reason
