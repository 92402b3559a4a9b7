// Package boltstore keeps leases in one file, with bbolt: the [lease.Store] of a single server.
//
// The file has four buckets. "meta" has the format of the file. "leases" has a JSON record for each key,
// under the 32 bytes of the node id and the name of the service. "ports" has that key for each leased port,
// under two bytes, big endian, so that one lookup in the same transaction says who has a port, and reading in
// order gives the leases by port. "history" has, under the same two bytes, a JSON record of the last lease
// that a port had before.
//
// The package must not decide anything about leases, nor skip, repair or replace what it cannot read, which
// could give somebody's port away.
package boltstore
