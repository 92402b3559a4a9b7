// Package framing is the wire format of apquic: the signed messages of the control stream, the header of a
// relay stream, error codes, service names and origin addresses. docs/protocol.md specifies it; the vectors
// in testdata/vectors are part of that specification.
//
// It turns bytes into structs and back. It must not know of QUIC, start a goroutine, wait, or trust a length
// before it is bounded.
package framing
