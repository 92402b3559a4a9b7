// Package private is what two nodes do inside of the stream that a server joins for them: TLS between their keys, the
// decision who may connect to a private service, and the bytes of the connection.
//
// It must not trust the server: only the key that TLS proved says who somebody is.
package private
