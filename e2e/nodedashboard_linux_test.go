package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"apquic/internal/chromium"
)

// TestNodeDashboard: in a real browser the owner of a real node follows the link of the command dashboard, sees where
// the service is reached, a visitor while it is here and after it has left, and leaves the server.
func TestNodeDashboard(t *testing.T) {
	t.Parallel()
	b := chromium.Start(t)
	n := newTunnel(t)
	data, at := filepath.Join(t.TempDir(), "node"), "127.0.0.1:"+strconv.Itoa(freePort(t))
	node := launch(t, nil, "apquic-node", "--server", n.invitation, "--upstream", "web="+echoServer(t), "--data-dir", data, "--dashboard", at, "--drain", "2s")
	waitFor(t, node.stderr, `command="?apquic-node dashboard --data-dir `)
	waitFor(t, node.stderr, `msg="?connected`)
	text, err := exec.Command(filepath.Join(bin, "apquic-node"), "dashboard", "--data-dir", data).Output()
	link := strings.TrimSpace(string(text))
	_, token, ok := strings.Cut(link, "http://"+at+"/#token=")
	if err != nil || !ok || len(token) != 64 {
		t.Fatalf("the link is %q: %v", link, err)
	}
	b.Open(link)
	b.Shows(n.address())
	b.Shows("answers")
	b.Shows("0 connections")

	visitor := visit(t, n.address())
	b.Until("/[1-9].*[kM]B.s/.test(document.querySelector('figcaption .out').textContent)") // the chart
	b.Click("nav a[href='#visitors']")
	b.Shows(visitor.LocalAddr().String())
	b.Until("[...document.querySelectorAll('tbody td')].some((c) => /[1-9].*B.s/.test(c.textContent))")
	second := n.echo(t, "hello")
	b.Shows("2 connections")
	second.Close()
	b.Until("document.querySelectorAll('table')[1].textContent.includes('" + second.LocalAddr().String() + "')") // has left
	b.Shows("1 connection")
	b.Click("nav a[href='#events']")
	b.Shows("connected")

	b.Click("nav a[href='#overview']")
	pressed(b, "Leave the server")
	b.Click("dialog button.danger")
	b.Shows("has released the ports and domains of this node") // once the time of the visitor is over
	if status := node.status(t); status != 4 {                 // it has left
		t.Errorf("the node ends with %d", status)
	}
	if strings.Contains(node.stderr.text()+node.stdout.text(), token) {
		t.Error("the token is in the log")
	}
	wantQuiet(t, b, at)
}
