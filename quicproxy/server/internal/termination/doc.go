// Package termination is what ending TLS at the server needs: what a program has to provide for it, and a connection
// within the program that ends and resets as TCP does.
//
// It must not know leases, relays or sessions, parse HTTP, or know where certificates come from.
package termination
