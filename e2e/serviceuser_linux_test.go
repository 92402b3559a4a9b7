package e2e

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"apquic/certs"
)

// TestServiceUser: what root does beside a server of another user, or on its files, leaves these in that user's hands.
func TestServiceUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act for another user")
	}
	t.Parallel()
	const nobody = 65534
	folder := t.TempDir()
	for _, path := range []string{folder, filepath.Dir(folder)} { // the user can look for the program in it
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data, program := filepath.Join(folder, "server"), filepath.Join(folder, "apquic-server")
	copyProgram(t, filepath.Join(bin, "apquic-server"), program)
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	n := &tunnel{udp: freePort(t), public: freePort(t), data: data}
	serve := func() {
		n.server = launch(t, func(c *exec.Cmd) {
			c.Path = program
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}, "apquic-server", n.serverArguments()...)
		waitFor(t, n.server.stdout, `^(apquic-server invite)`)
	}
	command := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(program, append(args, "--data-dir", data)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	check := func() {
		t.Helper()
		entries, err := os.ReadDir(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil {
				t.Fatal(err)
			}
			if owner := info.Sys().(*syscall.Stat_t); owner.Uid != nobody || owner.Gid != nobody || info.Mode().Perm() != 0o600 {
				t.Errorf("%s belongs to %d:%d and has mode %o", entry.Name(), owner.Uid, owner.Gid, info.Mode().Perm())
			}
		}
	}
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	serve()
	command("invite", "running")
	command("allow", key.ID().String(), "shed-pi")
	command("revoke", "shed-pi")
	check()
	n.server.kill(t, syscall.SIGTERM)
	n.server.status(t)

	for _, file := range []string{"authorized_nodes", "invitations"} { // made by root from nothing
		if err := os.Remove(filepath.Join(data, file)); err != nil {
			t.Fatal(err)
		}
	}
	n.invitation = command("invite", "stopped")
	command("allow", key.ID().String(), "shed-pi")
	command("revoke", "shed-pi")
	command("allow", "shed-pi")
	command("nodes")
	command("status")
	check()
	serve()
	node := launch(t, nil, "apquic-node", "--server", n.invitation, "--upstream", echoServer(t), "--data-dir", t.TempDir())
	waitFor(t, node.stdout, `tcp://`)
	check()
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFirstStart: on a terminal the first start prints an invitation, and later ones the command that makes one.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	n := &tunnel{udp: freePort(t), public: freePort(t), data: filepath.Join(t.TempDir(), "server")}
	serve := func() string {
		terminal, slave := pseudoTerminal(t)
		n.server = launch(t, func(c *exec.Cmd) { c.Stdout = slave }, "apquic-server", n.serverArguments()...)
		slave.Close()
		line := make([]byte, 1000)
		length, err := terminal.Read(line)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(line[:length]))
	}
	n.invitation = serve()
	if _, err := certs.ParseInvitation(n.invitation); err != nil || !strings.Contains(n.invitation, "#") {
		t.Fatalf("the first start printed %q: %v", n.invitation, err)
	}
	n.node(t, nil)
	n.server.kill(t, syscall.SIGTERM)
	n.server.status(t)
	if line := serve(); line != "apquic-server invite --data-dir "+n.data {
		t.Errorf("the second start printed %q", line)
	}
}
