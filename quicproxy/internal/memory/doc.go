// Package memory divides the memory that a program may hold for others, which is a budget, among accounts: of
// nodes, and of public clients' addresses. Code that keeps bytes for somebody else asks here first.
//
// It is pure: it must not know what the bytes are, measure them, end a relay, or start goroutines.
package memory
