package quicproxy_test

import (
	"fmt"
	"strings"

	"github.com/quic-go/quic-go"
)

// endConnections ends connections of nodes as a broken network would, except that both sides notice at once;
// which says whether the i-th.
func endConnections(s *Server, which func(i int) bool) {
	seen := s.Inspect()
	for i, c := range append(seen.Primary, seen.Lanes...) {
		if which(i) {
			go c.QUIC.CloseWithError(quic.ApplicationErrorCode(99), "a test")
		}
	}
}

// connected reports whether a node has a connection that is not suspect.
func connected(n *Node) bool {
	c := n.Inspect().Conn
	return c != nil && c.QUIC.Context().Err() == nil
}

// leftovers collects what is not zero.
type leftovers []string

func (l *leftovers) count(what string, n int) {
	if n != 0 {
		*l = append(*l, fmt.Sprint(n, " ", what))
	}
}

// serverLeftovers is what a server still holds after its clients have left, and after its nodes have unless
// they stay.
func serverLeftovers(s *Server, nodesStay bool) string {
	var left leftovers
	s.Inspect().Leftovers(nodesStay, left.count)
	return strings.Join(left, ", ")
}

// nodeLeftovers is what a node still holds after its clients have left, and after its server has unless it
// stays.
func nodeLeftovers(n *Node, serverStays bool) string {
	var left leftovers
	n.Inspect().Leftovers(serverStays, left.count)
	return strings.Join(left, ", ")
}
