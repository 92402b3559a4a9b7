// Package admission decides which nodes may use a server: those in a file of authorized nodes, and those that show the
// secret of an invitation.
//
// It knows no connection and no session; whoever has its verdict acts on it. Programs may have an [Admitter] of their own.
package admission
