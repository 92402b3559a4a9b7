// Package boltstore keeps leases in one file, with bbolt: the [lease.Store] of a
// server that is alone.
//
// The file has four buckets. "meta" says which format the file has. "leases" has a
// record in JSON for each key, under the 32 bytes of the node id and the name of
// the service. "ports" has that key for each leased port, under two bytes, big
// endian, so that one look in the same transaction tells who has a port, and
// reading it in order gives the leases by port. "history" has, under the same two
// bytes, a record in JSON of the last lease that a port had before.
//
// The package decides nothing about leases, and never leaves out, repairs or
// replaces what it cannot read: that would give somebody's port away.
package boltstore
