package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// haproxy runs the real one as a load balancer in front of an address, and returns where it listens.
func haproxy(t *testing.T, to, options string) string {
	t.Helper()
	program, port := realProgram(t, "haproxy"), freePort(t)
	config := fmt.Sprintf(`defaults
	mode tcp
	timeout connect 5s
	timeout client 30s
	timeout server 30s
listen balancer
	bind 127.0.0.1:%d
	server tunnel %s check inter 10ms %s
`, port, to, options)
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, func(cmd *exec.Cmd) { cmd.Path = program }, "haproxy", "-db", "-f", path)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	awaitListener(t, address)
	return address
}

// TestBehindHAProxy: with a real load balancer in front of the server and nginx behind the node, nginx knows
// the visitor's address; the balancer's health checks, with a header of their own and without, disturb nobody.
func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	upstream := nginx(t, `listen LISTEN proxy_protocol; location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port"; }`)
	for _, options := range []string{"send-proxy", "send-proxy-v2 check-send-proxy"} {
		n := newTunnel(t, "--proxy-protocol-from", "127.0.0.1,::1")
		node := launch(t, nil, "apquic-node", n.nodeFile(t, fmt.Sprintf(`{"web": {"upstream": %q, "proxyProtocol": 2}}`, upstream))...)
		waitFor(t, node.stdout, `tcp://`)
		balancer := haproxy(t, n.address(), options)
		got := curl(t, "--noproxy", "*", "-w", "\n%{local_port}", "http://"+balancer+"/")
		answer, port, _ := strings.Cut(got, "\n")
		if want := fmt.Sprintf("127.0.0.1 %s %s", port, balancer[len("127.0.0.1:"):]); answer != want {
			t.Errorf("%s: nginx saw %q, want %q", options, answer, want)
		}
		if log := n.server.stderr.text(); strings.Contains(log, "refused") {
			t.Errorf("%s: the health checks were refused:\n%s", options, log)
		}
		// Without the balancer its visitor cannot claim to come from there.
		if out, err := exec.Command(realProgram(t, "curl"), "--noproxy", "*", "-sS", "--max-time", "20", "http://"+n.address()+"/").CombinedOutput(); err == nil {
			t.Errorf("without a header: %s", out)
		}
	}
}
