//go:build linux

package netns

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// link is a running internal/cmd/testlink.
type link struct {
	t        testing.TB
	commands io.WriteCloser
	answers  *bufio.Scanner
}

// newLink joins two namespaces with a device in each.
func newLink(t testing.TB, from *namespace, device string, to *namespace, remoteDevice string) *link {
	t.Helper()
	// With high priority: a packet that is late because other processes compute would have a wrong delay.
	cmd := exec.Command("ip", "netns", "exec", from.name, "nice", "-n", "-10", program("testlink"), device, "far")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	commands, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &link{t, commands, bufio.NewScanner(answers)}
	t.Cleanup(func() {
		commands.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the link ended with %v: %s", err, complaint.String())
		}
	})
	if !l.answers.Scan() || l.answers.Text() != "ready" {
		t.Fatalf("the link said %q: %s", l.answers.Text(), complaint.String())
	}
	from.ip(fmt.Sprintf("link set far netns %s name %s", to.name, remoteDevice))
	for _, end := range []struct {
		at     *namespace
		device string
	}{{from, device}, {to, remoteDevice}} {
		end.at.ip("link set " + end.device + " up mtu 1500 txqueuelen 2000")
	}
	return l
}

// set changes properties of the link, in the form of internal/cmd/testlink.
func (l *link) set(properties string) {
	l.t.Helper()
	if _, err := io.WriteString(l.commands, properties+"\n"); err != nil {
		l.t.Fatalf("telling the link %q: %v", properties, err)
	}
	if !l.answers.Scan() || l.answers.Text() != "ok" {
		l.t.Fatalf("the link answered %q to %q", l.answers.Text(), properties)
	}
}
