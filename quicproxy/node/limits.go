package node

import "apquic/framing"

// heedLimits logs, when that is new, that the server allows less than the node wants. The server refuses
// excess services one by one; this log line covers them all.
func (n *Node) heedLimits(limits *framing.Limits) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heedLimitsLocked(int(limits.GetMaxServices()))
}

func (n *Node) heedLimitsLocked(most int) {
	services, known := len(n.services), n.excess
	n.allowedServices, n.excess = most, services-most
	if most > 0 && n.excess > 0 && n.excess != known {
		n.log.Warn("the server allows fewer services than this node has; the last ones get no public address",
			"services", services, "allowed", most, "hint", "expose fewer services, or raise --max-services on the server")
	}
}
