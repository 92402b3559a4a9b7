// Package control is where a running program answers its owner, over HTTP: on the unix socket in its data directory,
// and, if told to, at a TCP address. The modes of the socket and its directory admit only the program's user and root,
// so there is no password, and curl --unix-socket can ask, too. At the address a [Guard] admits only who shows the
// owner's token or key.
//
// It must not know what is asked: programs bring their own http.Handler.
package control
