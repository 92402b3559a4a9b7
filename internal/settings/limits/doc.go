// Package limits keeps what the operator said about single nodes by command: in a file of the data directory, with a
// line for each node, and in the words of a rule.
//
// It must not decide anything: package rules does.
package limits
