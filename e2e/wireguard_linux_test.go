package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// wireguardModule is WireGuard without the kernel; the kernels of machines for tests often have none.
const wireguardModule = "golang.zx2c4.com/wireguard@v0.0.0-20250521234502-f333402bd9cb"

// installWireguard builds WireGuard once.
var installWireguard = sync.OnceValues(func() (string, error) { return installForeign(wireguardModule) })

// wireguard is an interface of WireGuard that runs, with its keys.
type wireguard struct{ name, private, public string }

func startWireguard(t *testing.T, program, name string) *wireguard {
	t.Helper()
	w := &wireguard{name: name}
	w.private = strings.TrimSpace(must(t, nil, "wg", "genkey"))
	w.public = strings.TrimSpace(must(t, strings.NewReader(w.private), "wg", "pubkey"))
	launch(t, detached, program, "-f", name)
	for deadline := time.Now().Add(maxWait); ; time.Sleep(20 * time.Millisecond) {
		if exec.Command("wg", "show", name).Run() == nil {
			return w
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is no interface %s", name)
		}
	}
}

// configure sets the keys of the interface, and its peer.
func (w *wireguard) configure(t *testing.T, peer *wireguard, more string) {
	t.Helper()
	must(t, strings.NewReader(fmt.Sprintf("[Interface]\nPrivateKey = %s\n%s\n", w.private, strings.ReplaceAll(more, "PEER", "[Peer]\nPublicKey = "+peer.public))),
		"wg", "setconf", w.name, "/dev/stdin")
}

func must(t *testing.T, stdin *strings.Reader, argv ...string) string {
	t.Helper()
	c := exec.Command(argv[0], argv[1:]...)
	if stdin != nil {
		c.Stdin = stdin
	}
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", argv, err, out, said.String())
	}
	return string(out)
}

// TestWireGuard: a visitor's WireGuard reaches one behind the tunnel, with packets of every size, and goes on after
// the node was killed.
func TestWireGuard(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("it needs root, for interfaces")
	}
	for _, program := range []string{"wg", "ip", "ping"} {
		needProgram(t, program)
	}
	program, err := installWireguard()
	if err != nil {
		t.Skipf("WireGuard cannot be built, which needs the module proxy or its modules: %v\n%s", err, program)
	}
	suffix := fmt.Sprint(os.Getpid() % 100000)
	namespace := "apquic-wg-" + suffix
	must(t, nil, "ip", "netns", "add", namespace)
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", namespace).Run() })
	home, visitor := startWireguard(t, program, "wgh"+suffix), startWireguard(t, program, "wgv"+suffix)
	port := freePort(t)
	home.configure(t, visitor, fmt.Sprintf("ListenPort = %d\nPEER\nAllowedIPs = 10.99.77.2/32", port))
	must(t, nil, "ip", "address", "add", "10.99.77.1/30", "dev", home.name)
	must(t, nil, "ip", "link", "set", home.name, "up")

	n := newTunnel(t)
	arguments := []string{"--server", n.invitation, "--upstream", fmt.Sprint("vpn=udp://127.0.0.1:", port), "--data-dir", t.TempDir()}
	node := launch(t, detached, "apquic-node", arguments...)
	waitFor(t, node.stdout, `^(vpn  udp://\S+)`)
	visitor.configure(t, home, fmt.Sprintf("PEER\nAllowedIPs = 10.99.77.1/32\nEndpoint = 127.0.0.1:%d\nPersistentKeepalive = 25", n.public))
	// Its socket stays here, where the tunnel is; what it carries comes from elsewhere.
	must(t, nil, "ip", "link", "set", visitor.name, "netns", namespace)
	must(t, nil, "ip", "-n", namespace, "address", "add", "10.99.77.2/30", "dev", visitor.name)
	must(t, nil, "ip", "-n", namespace, "link", "set", visitor.name, "up")

	ping := func(size string) {
		t.Helper()
		out := must(t, nil, "ip", "netns", "exec", namespace, "ping", "-c", "5", "-i", "0.2", "-W", "10", "-M", "do", "-s", size, "10.99.77.1")
		if !strings.Contains(out, " 0% packet loss") {
			t.Errorf("ping of %s bytes:\n%s", size, out)
		}
	}
	ping("56")
	ping("1392") // WireGuard's MTU of 1420
	node.kill(t, syscall.SIGKILL)
	node.status(t)
	node = launch(t, detached, "apquic-node", arguments...)
	waitFor(t, node.stdout, `^(vpn  udp://\S+)`)
	ping("1140")
}
