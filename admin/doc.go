// Package admin is what the operator of a server does with it: invite, allow and revoke nodes, see who is there, give
// ports up. An [Authority] does it, on the files of the data directory and the running server if there is one. The
// running server offers the same over a unix socket in its data directory, as JSON over HTTP ([Listen], [Handler]); a [Client]
// is an Authority elsewhere.
//
// The package reads snapshots of the server and calls the few methods of [Core]; the server does not know of it. It
// never shows a secret but in the answer to Invite.
package admin
