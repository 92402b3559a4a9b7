// Package termination is what ending TLS at the server needs: what a program has to provide for it, and connections
// that pass decrypted bytes on to a relay as TCP would, with ends and resets.
//
// It must not know leases, relays or sessions, parse HTTP, or know where certificates come from.
package termination
