// Package control is the unix socket in a data directory on which a running program answers its owner, over
// HTTP, so that curl --unix-socket can ask, too. The modes of the socket and its directory admit only the
// program's user and root, so there is no password.
//
// It must not know what is asked: programs bring their own http.Handler.
package control
