// Package quicconfig has the settings of QUIC on both sides: windows, numbers of streams, packet sizes and
// timeouts.
//
// It must not open connections, or know what they carry.
package quicconfig
