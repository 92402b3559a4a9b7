package quicproxy_test

import (
	"apquic/internal/settings"
	"apquic/quicproxy/internal/keepalive"
	"apquic/quicproxy/node"
	"apquic/quicproxy/server"
)

// Names for tests in which server and node are variables.
type (
	Server        = server.Server
	ServerConfig  = server.Config
	Peer          = server.Peer
	SessionStatus = server.SessionStatus

	Node       = node.Node
	NodeConfig = node.Config
	Service    = node.Service
	Lease      = node.Lease
	Welcome    = node.Welcome
	NATBinding = node.NATBinding
)

const (
	DefaultKeepalive = keepalive.Default
	AutoKeepalive    = settings.AutoKeepalive
)

var (
	NewServer = server.New
	NewNode   = node.New
)
