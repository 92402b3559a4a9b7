// Package association is what a server process and a node process share beyond a single connection: which
// connections there are between them (Carrier), the numbers of their relays, and what they tell one another of
// these (docs/protocol.md section 6.4).
//
// A relay that resumes (Resumable) asks it for the next connection, and has it ack what came. It must not know
// what a relay carries, nor sessions, leases and dials.
//
// Locks: Association.mu comes before that of a Set, and is never held together with one of a relay. Nothing
// that may wait for the peer is called while it is held.
package association
