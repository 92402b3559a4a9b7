// Package files is what both programs do about files in their data directories that are not as they left them: those of
// another owner, and those that a killed process left behind. It must not know what is in them.
package files
