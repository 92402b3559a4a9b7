// Package netaddr brings addresses into one form, and says which networks an address belongs to and how much
// each of them may have: whoever has one address often has others.
//
// It must not count anything, or know who asks.
package netaddr
