package e2e

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"apquic/internal/chromium"
)

// pressed clicks on the button with this text in the dialog on top, or else in the page.
func pressed(b *chromium.Browser, text string) {
	b.Until(`(() => {
		const within = [...document.querySelectorAll('dialog')].pop() ?? document.querySelector('main');
		const found = [...within.querySelectorAll('button')].find((b) => b.textContent === '` + text + `' && !b.disabled);
		found?.click();
		return found;
	})()`)
}

// TestDashboard: in a real browser the owner of a real server logs in, invites a node that joins, watches a visitor's
// bytes while they pass, kicks the node and then revokes it.
func TestDashboard(t *testing.T) {
	t.Parallel()
	b := chromium.Start(t)
	admin := "127.0.0.1:" + strconv.Itoa(freePort(t))
	n := newTunnel(t, "--admin", admin)
	token, err := os.ReadFile(filepath.Join(n.data, "admin_token"))
	if err != nil {
		t.Fatal(err)
	}
	b.Open("http://" + admin + "/")
	b.Write("input[name=token]", "a wrong token, which is of no use")
	pressed(b, "Log in")
	b.Shows("the token is wrong")
	b.Write("input[name=token]", strings.TrimSpace(string(token)))
	pressed(b, "Log in")
	b.Shows("0 of 0 nodes")

	b.Click("nav a[href='#nodes']")
	b.Shows("There are no nodes yet")
	pressed(b, "Invite")
	b.Write("dialog input[name=name]", "shed-pi")
	b.Click("dialog form button[type=submit]")
	b.Until("document.querySelector('dialog img')?.naturalWidth > 100")
	invitation := b.Run("return document.querySelector('dialog textarea').value")
	if read := readQR(t, b.Screenshot()); read != invitation {
		t.Errorf("the QR code says %s, want %s", read, invitation)
	}
	pressed(b, "Close")
	node := launch(t, nil, "apquic-node", "--server", invitation, "--upstream", "echo="+echoServer(t), "--data-dir", filepath.Join(t.TempDir(), "node"))
	waitFor(t, node.stdout, `echo +tcp://`)
	waitFor(t, node.stderr, `msg="?connected`)
	b.Shows("1 of 1 online")
	b.Shows("shed-pi")

	visitor := visit(t, n.address())
	b.Click("nav a[href='#visitors']")
	b.Shows(visitor.LocalAddr().String())
	b.Until("[...document.querySelectorAll('tbody td')].some((c) => /[1-9].*B.s/.test(c.textContent))") // bytes per second
	b.Click("nav a[href='#events']")
	b.Shows("node-connected")

	b.Click("nav a[href='#nodes']")
	pressed(b, "shed-pi")
	pressed(b, "Kick")
	b.Click("dialog.question button.danger")
	b.Shows("shed-pi was kicked")
	waitFor(t, node.stderr, `msg="?connected`) // it comes back
	pressed(b, "shed-pi")
	b.Shows("maxClients") // the rules about it
	pressed(b, "Revoke")
	b.Click("dialog.question button.danger")
	b.Shows("shed-pi was revoked")
	b.Shows("0 of 1 online")
	waitFor(t, node.stderr, `shut out`)
	b.Click("nav a[href='#events']")
	b.Shows("revoke")
	b.Click("#logout")
	b.Shows("Log in")
	wantQuiet(t, b, admin)
}

// readQR returns what a real reader finds in a picture.
func readQR(t *testing.T, picture []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "qr.png")
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(realProgram(t, "zbarimg"), "--quiet", "--raw", file).Output()
	if err != nil {
		t.Errorf("%v: %s", err, text)
	}
	return strings.TrimSpace(string(text))
}

// visit sends some bytes to an echo each moment until the connection ends, or the test.
func visit(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}, 2)
	t.Cleanup(func() { conn.Close(); <-ended; <-ended })
	go func() {
		defer func() { ended <- struct{}{} }()
		io.Copy(io.Discard, conn)
	}()
	go func() {
		defer func() { ended <- struct{}{} }()
		for {
			if _, err := conn.Write(make([]byte, 10000)); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	return conn
}

// wantQuiet checks that the console of a browser has nothing but what was refused, and that it asked only one address.
func wantQuiet(t *testing.T, b *chromium.Browser, at string) {
	t.Helper()
	for _, line := range b.Console() {
		if !strings.Contains(line.Message, "Failed to load resource") {
			t.Errorf("the console has %s: %s", line.Level, line.Message)
		}
	}
	for _, url := range b.Requests() {
		if !strings.HasPrefix(url, "http://"+at+"/") && !strings.HasPrefix(url, "data:") {
			t.Errorf("the page asks for %s", url)
		}
	}
}
