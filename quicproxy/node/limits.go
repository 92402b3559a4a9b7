package node

import "apquic/framing"

// heedLimits logs, when that is new, that the server allows less than the node wants. The server refuses
// excess services one by one; this log line covers them all.
func (n *Node) heedLimits(limits *framing.Limits) {
	most := int(limits.GetMaxServices())
	n.mu.Lock()
	services, known := len(n.services), n.allowedServices
	n.allowedServices = most
	n.mu.Unlock()
	if most > 0 && most != known && services > most {
		n.log.Warn("the server allows fewer services than this node has; the last ones get no public address",
			"services", services, "allowed", most, "hint", "expose fewer services, or raise --max-services on the server")
	}
}
