package node

import (
	"strconv"
	"testing"

	"apquic/framing"
)

// TestServiceNamesFit: a node that has more services than a request can name names none of them.
func TestServiceNamesFit(t *testing.T) {
	t.Parallel()
	l := &link{node: new(Node)}
	for i, want := range map[int]int{1: 2, framing.MaxServiceNames: 0} {
		l.node.services = nil
		for k := range i {
			l.node.services = append(l.node.services, &exposed{name: "s" + strconv.Itoa(k)})
		}
		if got := len(l.serviceNames("asked")); got != want {
			t.Errorf("%d services: %d names", i, got)
		}
	}
}
