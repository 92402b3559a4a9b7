// Package cli is what the two commands share on their surface: exit codes, how
// errors, logs and versions look, and settings from the environment.
//
// It knows nothing of what the commands do, and imports nothing of this module but internal/suggest.
package cli
