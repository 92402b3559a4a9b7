package console

import (
	"fmt"
	"strings"
	"testing"

	"apquic/quicproxy/node"
)

// TestLines: each service has a line, and a server that keeps changing addresses does not fill a disk
// with them.
func TestLines(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	say := NewLines(&out, []string{"a", "web"}).Print
	say(node.Lease{Service: "a", PublicAddress: "tcp://h:1", Origin: "tcp://o:1"})
	say(node.Lease{Service: "web", PublicAddress: "tcp://h:2", Origin: "tcp://o:2"})
	if want := "a    tcp://h:1 -> tcp://o:1\nweb  tcp://h:2 -> tcp://o:2\n"; out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	for i := range 1000 {
		say(node.Lease{Service: "a", PublicAddress: fmt.Sprint("tcp://h:", i), Origin: "tcp://o:1"})
	}
	if n := strings.Count(out.String(), "\n"); n > 20 {
		t.Errorf("%d lines", n)
	}
}
