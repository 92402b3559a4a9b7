// Package dial connects to a server that may have several addresses.
//
// It opens no socket, and sends no message.
package dial
