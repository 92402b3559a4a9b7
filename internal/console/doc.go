// Package console is what somebody sees who runs the node by hand: on a terminal a live view with the public addresses,
// the connection to the server, visitors, and what happened last; elsewhere a line per lease.
//
// It must not change anything, or decide what the node does. It changes no mode of the terminal, so that nothing has to
// be restored, however the program ends. Nothing of it runs without a terminal.
package console
