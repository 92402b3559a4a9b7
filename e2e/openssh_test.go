package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// openSSH is a real sshd at a port of this machine, and what ssh needs to get in.
type openSSH struct {
	at, folder string
}

func newOpenSSH(t *testing.T) *openSSH {
	t.Helper()
	program, keygen := realProgram(t, "sshd"), realProgram(t, "ssh-keygen")
	s := &openSSH{at: net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t))), folder: t.TempDir()}
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", s.path(key)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	public, err := os.ReadFile(s.path("user.pub"))
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.ReadFile(s.path("host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.at)
	s.write(t, "authorized_keys", string(public))
	s.write(t, "known_hosts", "* "+string(host))
	s.write(t, "sshd_config", fmt.Sprintf("Port %s\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nMaxStartups 100\n",
		port, s.path("host"), s.path("authorized_keys")))
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where it confines itself before the login
			t.Fatal(err)
		}
	}
	daemon := exec.Command(program, "-D", "-e", "-f", s.path("sshd_config"))
	var said bytes.Buffer
	daemon.Stderr = &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		daemon.Process.Kill()
		daemon.Wait()
		if t.Failed() {
			t.Logf("sshd said:\n%s", said.String())
		}
	})
	for end := time.Now().Add(maxWait); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", s.at)
		if err == nil {
			c.Close()
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("%v\n%s", err, said.String())
		}
	}
}

func (s *openSSH) path(name string) string { return filepath.Join(s.folder, name) }

func (s *openSSH) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ssh returns the command that runs a command over there.
func (s *openSSH) ssh(options []string, command string) *exec.Cmd {
	arguments := append([]string{
		"-F", "none", "-i", s.path("user"), "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + s.path("known_hosts"), "-o", "StrictHostKeyChecking=yes",
		"-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "-o", "LogLevel=ERROR",
	}, options...)
	return exec.Command("ssh", append(arguments, "garage", command)...)
}

// ownSSH is a tunnel with a node called garage, whose private service ssh is a real sshd, and data directories of
// others.
type ownSSH struct {
	*tunnel
	*openSSH
	garage         *process
	laptop, nobody string // data directories
}

func newOwnSSH(t *testing.T) *ownSSH {
	t.Helper()
	o := &ownSSH{openSSH: newOpenSSH(t), tunnel: newTunnel(t), laptop: filepath.Join(t.TempDir(), "laptop"), nobody: filepath.Join(t.TempDir(), "nobody")}
	for _, dir := range []string{o.laptop, o.nobody} {
		o.allow(t, dir)
	}
	o.startGarage(t)
	return o
}

// startGarage starts the node with the service.
func (o *ownSSH) startGarage(t *testing.T) {
	t.Helper()
	o.allow(t, o.beside("garage"))
	o.garage = o.startNode(t, o.beside("garage"))
}

// beside is another data directory beside that of the laptop.
func (o *ownSSH) beside(name string) string { return filepath.Join(filepath.Dir(o.laptop), name) }

// startNode starts a node with the service and the name garage.
func (o *ownSSH) startNode(t *testing.T, data string) *process {
	t.Helper()
	text := fmt.Sprintf(`{"server": %q, "dataDir": %q, "name": "garage", "services": {
		"ssh": {"upstream": %q, "public": false, "allowNodes": [%q]}}}`, o.invitation, data, o.at, o.id(t, o.laptop))
	if err := os.WriteFile(data+".json", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	node := launch(t, detached, "apquic-node", "-c", data+".json")
	waitFor(t, node.stdout, `^private ssh -> tcp://127\.0\.0\.1:\d+ \(apquic-node connect garage/ssh\)$`)
	return node
}

func (o *ownSSH) id(t *testing.T, data string) string {
	t.Helper()
	id, err := exec.Command(filepath.Join(bin, "apquic-node"), "id", "--data-dir", data).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(id))
}

// proxyCommand is for ssh, with the key in a data directory.
func (o *ownSSH) proxyCommand(data, to string) []string {
	return []string{"-o", fmt.Sprintf("ProxyCommand=%s connect %s --stdio --server '%s' --data-dir %s", filepath.Join(bin, "apquic-node"), to, o.invitation, data)}
}

// TestOpenSSHToPrivateService: the real ssh reaches the real sshd of a node that has no public port, by the node's name and
// by its id, with megabytes in both directions; others do not.
func TestOpenSSHToPrivateService(t *testing.T) {
	t.Parallel()
	o := newOwnSSH(t)
	out, err := o.ssh(o.proxyCommand(o.laptop, "garage/ssh"), "echo in the garage").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "in the garage\n") || !strings.Contains(string(out), "garage is the node ") {
		t.Fatalf("%v\n%s", err, out)
	}
	garage := strings.Fields(strings.SplitN(string(out), "garage is the node ", 2)[1])[0]
	garage = strings.TrimSuffix(garage, ",")
	out, err = o.ssh(o.proxyCommand(o.laptop, garage+"/ssh"), "echo by id; exit 7").CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 || string(out) != "by id\n" {
		t.Errorf("%v\n%s", err, out)
	}

	data := make([]byte, 8<<20)
	rand.Read(data)
	upload := o.ssh(o.proxyCommand(o.laptop, "garage/ssh"), "tee /dev/stderr 2>/dev/null | sha256sum; head -c 8388608 /dev/zero")
	upload.Stdin = bytes.NewReader(data)
	out, err = upload.Output()
	if want := fmt.Sprintf("%x  -\n", sha256.Sum256(data)); err != nil || !strings.HasPrefix(string(out), want) || len(out) != len(want)+8<<20 {
		t.Errorf("%v: %d bytes, %.80q", err, len(out), out)
	}

	for name, command := range map[string]*exec.Cmd{
		"a node that may not":            o.ssh(o.proxyCommand(o.nobody, "garage/ssh"), "true"),
		"a node that the server has not": o.ssh(o.proxyCommand(filepath.Join(t.TempDir(), "stranger"), garage+"/ssh"), "true"),
		"another service":                o.ssh(o.proxyCommand(o.laptop, "garage/vnc"), "true"),
		"another node":                   o.ssh(o.proxyCommand(o.laptop, "attic/ssh"), "true"),
	} {
		if out, err := command.CombinedOutput(); err == nil || name != "a node that the server has not" && !strings.Contains(string(out), "no such private service") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	status, err := exec.Command(filepath.Join(bin, "apquic-server"), "status", "--data-dir", o.data).CombinedOutput()
	if err != nil || !strings.Contains(string(status), "0 of 1 ports in use") {
		t.Errorf("%v\n%s", err, status)
	}
	status, err = exec.Command(filepath.Join(bin, "apquic-node"), "status", "--data-dir", o.beside("garage")).CombinedOutput()
	if err != nil || !strings.Contains(string(status), "ssh  private (apquic-node connect garage/ssh) -> "+o.at) {
		t.Errorf("%v\n%s", err, status)
	}
}

// TestConnectListens: the command carries connections from a local port, also after the server was killed and started
// again, beside a node that runs with the same key; a name that means another node is refused.
func TestConnectListens(t *testing.T) {
	t.Parallel()
	o := newOwnSSH(t)
	echo := launchNode(t, o.tunnel, o.laptop)
	listening := launch(t, detached, "apquic-node", "connect", "garage/ssh", "--listen", "127.0.0.1:0", "--server", o.invitation, "--data-dir", o.laptop)
	_, port, _ := net.SplitHostPort(waitFor(t, listening.stdout, `^tcp://(127\.0\.0\.1:\d+) -> garage/ssh$`))
	login := func() (string, error) {
		out, err := o.ssh([]string{"-p", port, "-o", "HostName=127.0.0.1"}, "echo inside").CombinedOutput()
		return string(out), err
	}
	if out, err := login(); err != nil || out != "inside\n" {
		t.Fatalf("%v\n%s", err, out)
	}
	running := o.ssh([]string{"-p", port, "-o", "HostName=127.0.0.1"}, "cat")
	in, err := running.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	outPipe, err := running.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "hello\n")
	if _, err := io.ReadFull(outPipe, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}

	o.server.kill(t, syscall.SIGKILL)
	<-o.server.exited
	o.start(t)
	if running.Wait() == nil {
		t.Error("a connection has survived the end of the server")
	}
	for end := time.Now().Add(maxWait); ; time.Sleep(100 * time.Millisecond) {
		out, err := login()
		if err == nil && out == "inside\n" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after the restart: %v\n%s", err, out)
		}
	}
	if strings.Contains(echo.stderr.text(), "took over") {
		t.Error("the node with the same key was replaced")
	}

	// The server's owner, or somebody in his place, has garage mean another node, which would let everybody in.
	list := filepath.Join(o.data, "authorized_nodes")
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	impostor := filepath.Join(t.TempDir(), "impostor")
	lied := strings.ReplaceAll(string(text), " garage", " former") + o.id(t, impostor) + " garage\n"
	if err := os.WriteFile(list, []byte(lied), 0o600); err != nil {
		t.Fatal(err)
	}
	o.startNode(t, impostor)
	for end := time.Now().Add(maxWait); !strings.Contains(listening.stderr.text(), "the server says that garage is now the node "+o.id(t, impostor)); {
		if out, err := login(); err == nil {
			t.Fatalf("another garage: %s", out)
		}
		if time.Now().After(end) {
			t.Fatal("nobody was told of the other garage")
		}
	}
	listening.kill(t, syscall.SIGTERM)
	if status := listening.status(t); status != 0 {
		t.Errorf("status %d", status)
	}
}

// launchNode starts a node with a public service.
func launchNode(t *testing.T, n *tunnel, data string) *process {
	t.Helper()
	p := launch(t, detached, "apquic-node", "--server", n.invitation, "--data-dir", data, "--upstream", "127.0.0.1:9")
	waitFor(t, p.stdout, `tcp://`)
	return p
}
