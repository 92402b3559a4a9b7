// Package debug shows what a running program does: profiles and counters over HTTP for users of the same
// machine, and a dump of heap and goroutines for unexplained memory when nothing else was prepared.
//
// It must not be reachable from another machine, nor from a web page in a browser on this one, and must not
// know about tunnels.
package debug
