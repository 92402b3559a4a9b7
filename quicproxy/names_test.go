package quicproxy_test

import (
	"apquic/quicproxy/node"
	"apquic/quicproxy/server"
)

// Names for tests in which server and node are variables.
type (
	Server       = server.Server
	ServerConfig = server.Config
	Peer         = server.Peer

	Node       = node.Node
	NodeConfig = node.Config
	Service    = node.Service
	Lease      = node.Lease
	Welcome    = node.Welcome
	NATBinding = node.NATBinding
)

const (
	DefaultPark      = server.DefaultPark
	DefaultKeepalive = node.DefaultKeepalive
	AutoKeepalive    = node.AutoKeepalive
)

var (
	NewServer = server.New
	NewNode   = node.New
)
