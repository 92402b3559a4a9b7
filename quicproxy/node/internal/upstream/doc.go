// Package upstream is what stands behind a service: what the service's address means, and how to connect
// there. The way is chosen once, when the node starts, from the owner's settings alone.
//
// It must not know connections to servers, relays or streams, or take anything that a server says for more
// than the claim of who a client is.
package upstream
