// Package reload has a running program follow its configuration file: on a signal, on a command, or because the file
// has changed.
//
// It must not know what is in the file, or what follows from it.
package reload
