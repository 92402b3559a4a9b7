// Package certs is identity: node ids, the private keys behind them, the files
// that keep them, and the two TLS configurations by which a node and a server
// prove their keys to each other.
//
// A [NodeID] is a raw ed25519 public key. Each side of a connection shows one
// self-signed certificate over its key, and [PeerID] is the only place where an
// identity comes from: not from names, dates, addresses or message fields.
//
// Beside identity the package holds the two ways in which a server lets a node
// in: the [Invitation] with its join secret, and the [AuthorizedNodes] file.
//
// The package opens no socket, starts no goroutine, writes no log, and never
// shows a private key or a secret in an error.
package certs
