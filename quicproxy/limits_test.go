package quicproxy_test

import "time"

// Limits of servers and nodes as docs/protocol.md and docs/config.md state them, from which the tests take
// them.
const (
	joinBurst        = 60 // nodes that join at once
	secretBurst      = 16 // join secrets that an address may show at once
	newcomerTime     = 24 * time.Hour
	newcomerServices = 8

	maxConnections  = 8 // of a node, without lanes
	maxRequests     = 64
	maxParked       = 256 // clients of a service that wait for its node
	retryAboveBurst = 512 // connections at once from which on the server asks for a Retry
	orphanTime      = 30 * time.Second
	orphansEvery    = 10 * time.Second
	defaultPark     = 10 * time.Second // how long a client waits for its node
	silentAfter     = 3 * time.Second
	savePeersBurst  = 20
	savePeersEvery  = 5 * time.Second

	nodeHandshakeTimeout = 8 * time.Second
	laneIdle             = time.Minute
	headerTimeout        = 10 * time.Second
	maxUnheard           = 1024 // streams whose header has not come
	acceptBacklog        = 128
	restartPause         = 250 * time.Millisecond // before a node connects to a server that restarts
	quickBurst           = 4                      // connections at once without a pause
	lasting              = 10 * time.Second       // what ends sooner counts as failed
	sayAfter             = 2 * time.Second        // an outage is told of
)
