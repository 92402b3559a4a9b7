// Package certs is identity: node ids, the private keys behind them, the files that store them, and the two
// TLS configurations with which a node and a server prove their keys to each other.
//
// A [NodeID] is a raw ed25519 public key. Each side of a connection shows one self-signed certificate for its
// key, and [PeerID] is the only source of identity: names, dates, addresses and message fields are not.
//
// The package also has the two ways in which a server admits a node: the [Invitation] with its join secret,
// and the [AuthorizedNodes] file.
//
// It must not open a socket, start a goroutine, write a log, or show a private key or a secret in an error.
package certs
