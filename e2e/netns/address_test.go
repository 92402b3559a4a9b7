//go:build linux

package netns

import (
	"strings"
	"testing"
)

// TestAddressComesLate: a server that starts before its machine has an address says so, and uses the right
// one in invitations and for nodes as soon as there is one.
func TestAddressComesLate(t *testing.T) {
	skipUnlessEnabled(t)
	machine := newNamespace(t, networks.Add(1), "late")
	data := t.TempDir()
	server := start(machine, "server", "apquic-server", "--listen", ":8090", "--range", "20000-20009", "--data-dir", data)
	server.await(`(this machine has no address yet)`)
	invite := func() string {
		return machine.run("", program("apquic-server"), "invite", "--data-dir", data)
	}
	if invitation := invite(); !strings.Contains(invitation, "@localhost:8090#") {
		t.Errorf("without an address: %s", invitation)
	}
	machine.ip("link add wan type veth peer name other", "addr add 203.0.113.7/24 dev wan", "link set wan up", "link set other up")
	invitation := strings.TrimSpace(invite())
	if !strings.Contains(invitation, "@203.0.113.7:8090#") {
		t.Errorf("with an address: %s", invitation)
	}
	node := start(machine, "node", "apquic-node", "--server", invitation, "--upstream", "127.0.0.1:80", "--data-dir", t.TempDir())
	node.await(`(tcp://203\.0\.113\.7:20000)`)
}
