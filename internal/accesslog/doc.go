// Package accesslog writes a line for each public connection that has ended. A slow or full disk keeps nobody waiting:
// lines wait in a bounded queue, and what does not fit is lost and counted.
//
// It must not know what a public connection is beyond package access.
package accesslog
