// Package totals keeps how much passed through each service of each node on each day (UTC), so that it survives a
// restart of the server, and how much of each node in each month.
//
// What passed is added in memory and written once a minute: a crash loses no more than that. The file has a bounded
// number of days and rows. The package must not know connections, or decide what a node may have.
package totals
