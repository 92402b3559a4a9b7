//go:build linux

package hostile

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"apquic/certs"
)

// maxWait bounds every wait. Only failures wait that long.
const maxWait = 30 * time.Second

// program is one of the two programs, running.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	folder string // its data directory
	stdout *bufio.Reader

	mu     sync.Mutex
	stderr bytes.Buffer
}

// start starts a program with a data directory of its own, which ends with the test.
func start(t *testing.T, name string, arguments ...string) *program {
	t.Helper()
	return startIn(t, t.TempDir(), name, arguments...)
}

// startIn starts a program with an existing data directory.
func startIn(t *testing.T, folder, name string, arguments ...string) *program {
	t.Helper()
	p := &program{t: t, folder: folder}
	p.cmd = exec.Command(filepath.Join(bin, name), append(arguments, "--data-dir", p.folder)...)
	p.cmd.Stderr = p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(stdout)
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("%s logged:\n%s", name, tail(p.log()))
		}
	})
	return p
}

// end kills the program, unless it has ended.
func (p *program) end() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// Write takes what the program logs.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(b)
}

func (p *program) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

func tail(text string) string { return text[max(0, len(text)-4000):] }

// line waits for a line on stdout and returns what the first group of pattern matches.
func (p *program) line(pattern string) string {
	p.t.Helper()
	expression := regexp.MustCompile(pattern)
	for {
		text, err := p.stdout.ReadString('\n')
		if match := expression.FindStringSubmatch(text); match != nil {
			return match[1]
		}
		if err != nil {
			p.t.Fatalf("%s ended without a line like %s:\n%s", p.cmd.Path, pattern, tail(p.log()))
		}
	}
}

// await polls for what only shows from outside a program.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(maxWait); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", maxWait, what)
		}
	}
}

// startServer starts a server on the loopback interface and returns an invitation for one node.
func startServer(t *testing.T, arguments ...string) (*program, certs.Invitation) {
	t.Helper()
	p := start(t, "apquic-server", append([]string{"--listen", "127.0.0.1:0", "--public-host", "127.0.0.1", "--range", "20000-20999"}, arguments...)...)
	p.line(`(apquic)`) // the command that invites, or on an open server the invitation
	return p, invite(t, p, 1)
}

// invite returns an invitation to a running server for this many more nodes.
func invite(t *testing.T, server *program, uses int) certs.Invitation {
	t.Helper()
	text, err := exec.Command(server.cmd.Path, "invite", "--uses", strconv.Itoa(uses), "--data-dir", server.folder).Output()
	if err != nil {
		t.Fatal(err)
	}
	invitation, err := certs.ParseInvitation(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return invitation
}

// startNode starts a node that exposes upstream and returns its public address.
func startNode(t *testing.T, invitation certs.Invitation, upstream string, arguments ...string) (p *program, public string) {
	t.Helper()
	p = start(t, "apquic-node", append([]string{"--server", invitation.String(), "--upstream", upstream}, arguments...)...)
	return p, p.line(`tcp://(127\.0\.0\.1:\d+) -> `)
}
