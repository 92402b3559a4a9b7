// Package control is the unix socket in a data directory on which a running program answers its owner: HTTP, so that
// curl --unix-socket can ask as well. Only its user and root get through, by the mode of the socket and of the
// directory around it, so there is no password.
//
// It knows nothing of what is asked, and must not: programs bring their own http.Handler.
package control
