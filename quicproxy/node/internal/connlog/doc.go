// Package connlog logs for a person how the connection of a node is doing: each change once, and why.
package connlog
