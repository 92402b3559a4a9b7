// Package rules decides what single nodes of a server may have, where its operator says so for them: which ports,
// domains and protocols, how many services and clients, how fast, how long.
//
// It is pure: it must not know files, connections or who is here, and it keeps nothing but the rules that it is given.
package rules
