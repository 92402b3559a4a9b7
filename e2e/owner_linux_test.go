package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user who owns nothing.
const nobody = 65534

func asNobody(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// TestForeignFiles: the error names a file with another owner in the data directory, as left by a command of
// root, and what to do about it; the server works once that is done.
func TestForeignFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	n := &tunnel{udp: freePort(t), public: freePort(t), data: t.TempDir()}
	for _, folder := range []string{bin, filepath.Dir(n.data)} {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	give := func(path string, owner int) {
		t.Helper()
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	give(n.data, nobody)
	start := func() *process {
		server := launch(t, asNobody, "apquic-server", n.serverArguments()...)
		if _, err := server.stdout.await(invitationLine); err == nil {
			server.kill(t, syscall.SIGTERM)
		}
		return server
	}
	if status := start().status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	for _, name := range []string{"key", "leases.db", "reset_key", "token_key"} {
		path := filepath.Join(n.data, name)
		give(path, 0)
		server := start()
		status, text := server.status(t), server.stderr.text()
		if status != 1 || !strings.Contains(text, name) || !strings.Contains(text, "permission denied") {
			t.Errorf("%s of another owner: status %d,\n%s", name, status, text)
		}
		mendAsTold(t, text)
		if status := start().status(t); status != 0 {
			t.Errorf("after %s was given back: status %d", name, status)
		}
	}
}

// mendAsTold follows the hint about a file with another owner, as a person would who copies it.
func mendAsTold(t *testing.T, text string) {
	t.Helper()
	told := regexp.MustCompile(`the file belongs to root; give it to the user of this program: (chown [^\n"]+)`).FindStringSubmatch(text)
	if told == nil {
		t.Fatalf("no hint with a command in\n%s", text)
	}
	if out, err := exec.Command("sh", "-c", told[1]).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", told[1], err, out)
	}
}

// TestForeignList: the log names a list of nodes made by root and the command that fixes it, and the server
// goes on once that is done.
func TestForeignList(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	n := &tunnel{udp: freePort(t), public: freePort(t), data: t.TempDir()}
	for _, folder := range []string{bin, filepath.Dir(n.data)} {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(n.data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(n.data, "authorized_nodes")
	if err := os.WriteFile(list, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server := launch(t, asNobody, "apquic-server", n.serverArguments()...)
	waitFor(t, server.stderr, `(give it to the user of this program: chown)`)
	mendAsTold(t, server.stderr.text())
	id, err := exec.Command(filepath.Join(bin, "apquic-node"), "id", "--data-dir", t.TempDir()).Output()
	if err != nil {
		t.Fatal(err)
	}
	allow := exec.Command(filepath.Join(bin, "apquic-server"), "allow", strings.TrimSpace(string(id)), "--data-dir", n.data)
	if out, err := allow.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
