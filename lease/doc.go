// Package lease decides who may use which public port, and until when.
//
// A lease belongs to a [Key], a node and the name of one of its services. It is attached while the node is
// connected, and held when the node has gone: until the hold time has passed nobody else gets the port. After
// that it ends or, if the node is a known one, lapses: the port stays the node's while others are free. Used
// ports are given to others last, since people remember addresses; so the last lease of each port is
// remembered, too. A group, a service that several nodes offer, has a lease of its own. The [Lessor] grants leases,
// lets them expire, and opens and closes their ports through a [Binder]; the [Store] keeps them across restarts.
//
// Everything rests on two rules:
//
//   - The Store's transaction, rather than the Lessor's memory, keeps two owners off one port. A lease is an
//     ordinary record with a held-until time and a revision, so that a store shared by several servers works
//     as well as a file.
//   - A lease is written before its owner is told of it. When a write fails, its outcome is unknown; the
//     Lessor then trusts its memory and makes the store agree as soon as the store works again.
//
// Package leasetest has the tests that every Store must pass, package boltstore the Store in a file.
//
// The package must not open sockets or know connections. Its caller decides which nodes may ask, and which of
// a node's connections counts.
package lease
