// Package files deals with files in the data directories that are not as the programs left them: files with
// another owner, and files that a killed process left behind. It must not know what is in them.
package files
