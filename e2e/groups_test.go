package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// member is a node of a group, and the nginx behind it.
type member struct {
	name, upstream string
	arguments      []string
	web, node      *process
}

// newMembers are nodes that the server's operator has given these names, each with an nginx that says the
// name; its health check is a request for /healthz.
func newMembers(t *testing.T, n *tunnel, names ...string) (all []*member) {
	t.Helper()
	for _, name := range names {
		m := &member{name: name}
		m.upstream, m.web = startNginx(t, fmt.Sprintf(`listen LISTEN; location / { return 200 %q; } location /healthz { return 204; }`, name))
		m.arguments = n.nodeFile(t, fmt.Sprintf(`{"web": {"upstream": %q, "group": "photos", "health": "/healthz"}}`, m.upstream))
		data := filepath.Join(t.TempDir(), name)
		m.arguments[slices.Index(m.arguments, "--data-dir")+1] = data
		id, err := exec.Command(filepath.Join(bin, "apquic-node"), "id", "--data-dir", data).Output()
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(filepath.Join(bin, "apquic-server"), "allow", strings.TrimSpace(string(id)), name, "--data-dir", n.data).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		m.start(t)
		all = append(all, m)
	}
	return all
}

func (m *member) start(t *testing.T) {
	t.Helper()
	m.node = launch(t, nil, "apquic-node", m.arguments...)
	waitFor(t, m.node.stdout, `web +tcp://`)
}

// whoAnswers asks the group several times.
func (n *tunnel) whoAnswers(t *testing.T, times int) map[string]int {
	t.Helper()
	who := make(map[string]int)
	for range times {
		who[curl(t, "--noproxy", "*", "http://"+n.address()+"/")]++
	}
	return who
}

// TestGroupOfNodes: two nodes with a real web server each offer one service; one is killed, the web server of
// the other is stopped, both come back.
func TestGroupOfNodes(t *testing.T) {
	t.Parallel()
	n := newTunnel(t, "--group", "photos=garage,attic")
	all := newMembers(t, n, "garage", "attic")
	garage, attic := all[0], all[1]
	if who := n.whoAnswers(t, 10); who["garage"] < 3 || who["garage"]+who["attic"] != 10 || who["attic"] < 3 { // one that has left may count a moment longer
		t.Errorf("answers come from %v", who)
	}
	status := func() string {
		out, err := exec.Command(filepath.Join(bin, "apquic-server"), "status", "--data-dir", n.data).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	for _, part := range []string{"(group)   photos", "  attic  ", "  garage  "} {
		if text := status(); !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}

	garage.node.kill(t, syscall.SIGKILL)
	garage.node.status(t)
	for end := time.Now().Add(maxWait); !strings.Contains(n.server.stderr.text(), "the node does not answer"); {
		if time.Now().After(end) {
			t.Fatal("the server does not notice that garage is gone")
		}
		// The server notices by a client that it gives to garage, which is then reset.
		exec.Command(realProgram(t, "curl"), "-sS", "--max-time", "20", "--noproxy", "*", "http://"+n.address()+"/").Run()
	}
	if who := n.whoAnswers(t, 6); who["attic"] != 6 {
		t.Errorf("after garage was killed, answers come from %v", who)
	}
	garage.start(t)
	if who := n.whoAnswers(t, 10); who["garage"] < 3 || who["garage"]+who["attic"] != 10 {
		t.Errorf("after garage is back, answers come from %v", who)
	}

	attic.web.kill(t, syscall.SIGTERM)
	attic.web.status(t)
	waitFor(t, attic.node.stderr, `the service is unhealthy and gets no new clients`)
	for end := time.Now().Add(maxWait); !strings.Contains(status(), "unhealthy"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the server does not know:\n%s", status())
		}
	}
	if who := n.whoAnswers(t, 6); who["garage"] != 6 {
		t.Errorf("while attic is unhealthy, answers come from %v", who)
	}
	out, err := exec.Command(filepath.Join(bin, "apquic-node"), append([]string{"status"}, attic.arguments...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "unhealthy, gets no new connections: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestNotInGroup: a node that the operator has not named is refused, and told what to do, and who else is
// there is not.
func TestNotInGroup(t *testing.T) {
	t.Parallel()
	n := newTunnel(t, "--group", "photos=garage")
	node := launch(t, nil, "apquic-node", n.nodeFile(t, fmt.Sprintf(`{"web": {"upstream": %q, "group": "photos"}}`, echoServer(t)))...)
	line := waitFor(t, node.stderr, `(no public address.*)`)
	if !strings.Contains(line, `this node may not offer the group \"photos\"`) || !strings.Contains(line, "hint=") || strings.Contains(line, "garage") {
		t.Errorf("%s", line)
	}
}
