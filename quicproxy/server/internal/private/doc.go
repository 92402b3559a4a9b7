// Package private is a server's part in private services: it finds the service to which a node wants to connect, and
// joins the two nodes. They speak TLS with each other, of which the server sees only that.
//
// It must not know sessions, or look into the bytes.
package private
