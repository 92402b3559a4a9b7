package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestServiceUser: commands that root runs beside another user's server, or on its files, leave the files to
// that user.
func TestServiceUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act for another user")
	}
	t.Parallel()
	folder := t.TempDir()
	for _, path := range []string{bin, folder, filepath.Dir(folder)} { // the user finds the program and its directory
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(folder, "server")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	n := &tunnel{udp: freePort(t), public: freePort(t), data: data}
	serve := func() {
		n.server = launch(t, asNobody, "apquic-server", n.serverArguments()...)
		waitFor(t, n.server.stdout, `^(apquic-server invite)`)
	}
	command := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(filepath.Join(bin, "apquic-server"), append(args, "--data-dir", data)...).CombinedOutput()
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
	out, err := exec.Command(filepath.Join(bin, "apquic-node"), "id", "--data-dir", t.TempDir()).Output()
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(out))
	serve()
	command("invite", "running")
	command("allow", id, "shed-pi")
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
	command("allow", id, "shed-pi")
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

// TestFirstStart: on a terminal the first start prints an invitation, and later ones print the command that
// makes one.
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
	if !strings.HasPrefix(n.invitation, "apquic://") || !strings.Contains(n.invitation, "#") {
		t.Fatalf("the first start printed %q", n.invitation)
	}
	n.node(t, nil)
	n.server.kill(t, syscall.SIGTERM)
	n.server.status(t)
	if line := serve(); line != "apquic-server invite --data-dir "+n.data {
		t.Errorf("the second start printed %q", line)
	}
}
