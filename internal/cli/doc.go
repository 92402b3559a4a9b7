// Package cli is the command line surface that both programs share: exit codes, the form of errors, logs and
// versions, and settings from the environment.
//
// It must not know what the commands do.
package cli
