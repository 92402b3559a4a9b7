// Package stripes decides how a direction of a relay goes over several QUIC streams at once: which bytes go
// over which stripe, how far the sender may be ahead of the reader, and how the receiver puts them in order.
//
// It is pure: it must not know streams or connections, read the clock, or wait.
package stripes
