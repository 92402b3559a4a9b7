// Package debug shows what a running program does: profiles and counters over HTTP for somebody on the same machine, and
// a dump of heap and goroutines for when memory is unexplained and nothing else was prepared.
//
// It must not be reachable from another machine, nor by a page in a browser of this one, and knows nothing of tunnels.
package debug
