// Package lease decides who may use which public port, and until when.
//
// A lease belongs to a [Key], a node and the name of one of its services. It is
// attached while the node is there, and held for it when the node has gone: until
// the hold time has passed nobody else gets the port. After that it ends or, if the
// node is one of those that are known, lapses: the port stays the node's while
// others are free. A port that was somebody's is the last to become another's, since
// people remember addresses; so the last lease of each port is remembered, too. The [Lessor] grants leases,
// lets them expire and opens and closes their ports through a [Binder]; the
// [Store] keeps them over restarts.
//
// Two rules carry the rest:
//
//   - The transaction of the Store, not the memory of the Lessor, keeps two owners
//     off one port. A lease is an ordinary record with a held-until time and a
//     revision, so that a store shared by many servers can judge as well as a file.
//   - A lease is written before its owner is told of it. When a write fails, its
//     outcome is unknown; the Lessor then goes by its memory and makes the store
//     agree with it as soon as the store works again.
//
// Package leasetest has the tests that every Store passes, package boltstore the
// Store in a file.
//
// The package opens no socket, knows no connection, and leaves to its caller which
// nodes may ask at all and which of several connections of a node counts.
package lease
