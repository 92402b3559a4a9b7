package server

const (
	// Defaults of Config.
	defaultMaxClients, defaultMaxClientsPerAddress = 4096, 1024

	// relayShare is how many relays a node may have for each client it may have: some wait for an ack after
	// their client left.
	relayShare = 2
)

// maxRelaysOfNode is how many relays a node may have at once.
func (s *Server) maxRelaysOfNode() int { return relayShare * s.clients.PerNode() }
