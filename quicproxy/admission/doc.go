// Package admission decides which nodes may use a server: those in a file of authorized nodes, and those that
// present the secret of an invitation.
//
// It must not know connections or sessions; its callers act on its decisions. Programs may have their own
// [Admitter].
package admission
