package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestCurlThroughSOCKS: curl reaches what is in the networks of a proxy behind a node, by address and by a name
// that the node resolves, and nothing else.
func TestCurlThroughSOCKS(t *testing.T) {
	t.Parallel()
	upstream := nginx(t, `listen LISTEN; location / { return 200 "inside"; }`)
	_, port, _ := strings.Cut(upstream, ":")
	n := newTunnel(t)
	node := launch(t, nil, "apquic-node", n.nodeFile(t, `{"lan": {"upstream": "socks5:", "networks": ["127.0.0.1"]}}`)...)
	waitFor(t, node.stdout, `tcp://.* -> socks5:`)
	through := func(url string) (string, error) {
		out, err := exec.Command(realProgram(t, "curl"), "-sS", "--max-time", "20", "--noproxy", "", "-x", "socks5h://"+n.address(), url).CombinedOutput()
		return string(out), err
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if got, err := through(fmt.Sprintf("http://%s:%s/", host, port)); got != "inside" || err != nil {
			t.Errorf("%s: %q %v", host, got, err)
		}
	}
	for _, host := range []string{"127.0.0.2", "0.0.0.0", "[::ffff:127.0.0.2]", "192.0.2.1"} {
		if got, err := through(fmt.Sprintf("http://%s:%s/", host, port)); err == nil {
			t.Errorf("%s: %q", host, got)
		}
	}
}
