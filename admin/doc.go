// Package admin implements what the operator of a server does: invite, allow and revoke nodes, see who is
// there, release ports. An [Authority] works on the files of the data directory, and on the running server if
// there is one. The running server offers the same, and its events, as JSON over HTTP ([Handler]), on the unix
// socket in its data directory (package control) and, if told to, at a TCP address (package guard); a [Client] is
// the other end of the socket.
//
// The package reads snapshots of the server and calls the few methods of [Core]; the server does not know of
// it. It never shows a secret except in the answer to Invite.
package admin
