// Package story tells a person how the connection of a node is: each change once, and why.
package story
