package e2e

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// leaseOf matches the line of a service and its port.
var leaseOf = regexp.MustCompile(`^(\S+) +tcp://tunnel\.test:(\d+)`)

// TestMoveServer: nodes that know the server by name come back to their ports on another machine, which is made of a
// backup that was taken while clients transferred. The machines are loopback addresses.
func TestMoveServer(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("a file of names for the nodes alone needs root")
	}
	dir := t.TempDir()
	names := filepath.Join(dir, "hosts")
	point := func(machine string) {
		if err := os.WriteFile(names, []byte("127.0.0.1 localhost\n"+machine+" tunnel.test\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	udp := freePort(t)
	first, err := takePorts(4)
	if err != nil {
		t.Fatal(err)
	}
	serve := func(machine, data string) *process {
		p := launch(t, detached, "apquic-server", "--listen", fmt.Sprintf("%s:%d", machine, udp), "--public-listen", machine,
			"--range", fmt.Sprintf("%d-%d", first, first+3), "--public-host", "tunnel.test", "--data-dir", filepath.Join(dir, data))
		if _, err := p.stdout.await(invitationLine); err != nil {
			t.Fatal(err)
		}
		return p
	}
	point("127.0.0.1")
	old := serve("127.0.0.1", "old")
	invitation := command(t, "invite", "--uses", "2", "--data-dir", filepath.Join(dir, "old"))

	ports := make(map[string]string)
	for _, name := range []string{"attic", "garage"} {
		node := launch(t, withNames(names), "apquic-node", "--server", strings.TrimSpace(invitation), "--keepalive", "1s",
			"--upstream", "web="+greeter(t, name+" web"), "--upstream", "ssh="+greeter(t, name+" ssh"), "--data-dir", filepath.Join(dir, name))
		for range 2 {
			match, err := node.stdout.await(leaseOf)
			if err != nil {
				t.Fatal(err)
			}
			ports[name+" "+match[1]] = match[2]
		}
	}
	stop := make(chan struct{})
	var transferring sync.WaitGroup
	for name, port := range ports {
		c := greeted(t, "127.0.0.1:"+port, name)
		transferring.Go(func() { transfer(t, c, stop) })
	}
	passphrase := writePassphrase(t, dir)
	saved := filepath.Join(dir, "saved")
	if out := command(t, "backup", saved, "--passphrase-file", passphrase, "--data-dir", filepath.Join(dir, "old")); !strings.Contains(out, "4 leases") {
		t.Errorf("the backup has other leases: %s", out)
	}
	if left := namesIn(t, filepath.Join(dir, "old")); strings.Contains(left, ".leases") {
		t.Errorf("the copy of the leases is still there: %s", left)
	}
	close(stop)
	transferring.Wait()

	old.kill(t, syscall.SIGKILL)
	old.status(t)
	if out := command(t, "restore", saved, "--passphrase-file", passphrase, "--data-dir", filepath.Join(dir, "new")); !strings.Contains(out, "Nodes look for it at tunnel.test\n") {
		t.Errorf("restore does not say where the nodes look: %s", out)
	}
	serve("127.0.0.2", "new")
	point("127.0.0.2")
	began := time.Now()
	for name, port := range ports {
		greeted(t, "127.0.0.2:"+port, name).Close()
	}
	t.Logf("all are back %v after the name points to the new machine", time.Since(began).Round(time.Millisecond))
}

// command runs a command of apquic-server and returns its stdout.
func command(t *testing.T, arguments ...string) string {
	t.Helper()
	run := exec.Command(filepath.Join(bin, "apquic-server"), arguments...)
	run.Env = []string{"GORACE=atexit_sleep_ms=0"}
	var complaint strings.Builder
	run.Stderr = &complaint
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", arguments, err, complaint.String())
	}
	return string(out)
}

func writePassphrase(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "passphrase")
	if err := os.WriteFile(path, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withNames gives a program its own /etc/hosts.
func withNames(hosts string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
}

// greeter is a service that says a name, and then what it gets.
func greeter(t *testing.T, name string) (address string) {
	t.Helper()
	return serveEach(t, func(c net.Conn) {
		io.WriteString(c, name)
		io.Copy(c, c)
	})
}

// greeted returns a connection to a public address once the service with a name answers there.
func greeted(t *testing.T, address, name string) net.Conn {
	t.Helper()
	for end := time.Now().Add(2 * maxWait); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		c.SetDeadline(time.Now().Add(maxWait))
		got := make([]byte, len(name))
		if _, err := io.ReadFull(c, got); err == nil {
			if string(got) != name {
				t.Fatalf("%s is %q, and was %q", address, got, name)
			}
			t.Cleanup(func() { c.Close() })
			return c
		}
		c.Close()
	}
	t.Fatalf("%s does not answer at %s", name, address)
	return nil
}

// transfer sends numbers and checks that they come back, until stop.
func transfer(t *testing.T, c net.Conn, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		c.SetDeadline(time.Now().Add(maxWait))
		sent := strings.Repeat(strconv.Itoa(i)+" ", 1000)
		io.WriteString(c, sent)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != sent {
			t.Errorf("a transfer broke during the backup: %v", err)
			return
		}
	}
}

// TestBackupOnFullDisk: wherever the disk is full, there is no backup rather than a part of one.
func TestBackupOnFullDisk(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	d := newDisk(t, 1<<20)
	passphrase := writePassphrase(t, t.TempDir())
	saved := filepath.Join(d.path, "saved")
	d.fill(page)
	full := launch(t, nil, "apquic-server", "backup", saved, "--passphrase-file", passphrase, "--data-dir", n.data)
	if status := full.status(t); status != 1 {
		t.Errorf("exit status %d", status)
	}
	checkDiskFull(t, "with one page", full.stderr.text())
	if left := namesIn(t, d.path); left != "filler" {
		t.Errorf("it left %s", left)
	}
	d.free()
	command(t, "backup", saved, "--passphrase-file", passphrase, "--data-dir", n.data)
}

// TestRestoreOnFullDisk: there is no data directory rather than a part of one, however much fits.
func TestRestoreOnFullDisk(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	passphrase, saved := writePassphrase(t, t.TempDir()), filepath.Join(t.TempDir(), "saved")
	command(t, "backup", saved, "--passphrase-file", passphrase, "--data-dir", n.data)
	d := newDisk(t, 1<<20)
	failed := 0
	for pages := 0; pages < 21; pages += 3 {
		d.fill(pages * page)
		data := filepath.Join(d.path, "server")
		p := launch(t, nil, "apquic-server", "restore", saved, "--passphrase-file", passphrase, "--data-dir", data)
		if p.status(t) != 0 {
			failed++
			checkDiskFull(t, fmt.Sprintf("%d pages", pages), p.stderr.text())
			if left := namesIn(t, d.path); left != "filler" {
				t.Errorf("%d pages: it left %s", pages, left)
			}
		}
		d.free()
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
	}
	if failed < 3 || failed > 6 {
		t.Errorf("it failed at %d fill levels: others would be of interest", failed)
	}
	command(t, "restore", saved, "--passphrase-file", passphrase, "--data-dir", filepath.Join(d.path, "server"))
}

func namesIn(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

// TestRestoreForServiceUser: what root restores into another user's directory is that user's.
func TestRestoreForServiceUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act for another user")
	}
	t.Parallel()
	old := newTunnel(t)
	certificates := filepath.Join(old.data, "acme")
	if err := os.Mkdir(certificates, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(certificates, "photos.example.org"), []byte("certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	passphrase, saved, data := writePassphrase(t, folder), filepath.Join(folder, "saved"), filepath.Join(folder, "server")
	for _, path := range []string{bin, folder, filepath.Dir(folder)} { // the user finds the program and its directory
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(data, 0o700), os.Chown(data, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	command(t, "backup", saved, "--passphrase-file", passphrase, "--data-dir", old.data)
	command(t, "restore", saved, "--passphrase-file", passphrase, "--data-dir", data)
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != nobody || owner.Gid != nobody || info.Mode().Perm() != want {
			t.Errorf("%s belongs to %d:%d and has mode %o", path, owner.Uid, owner.Gid, info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(data, "acme", "photos.example.org")); err != nil || string(content) != "certificate" {
		t.Errorf("the certificate is %q, %v", content, err)
	}
	n := &tunnel{udp: freePort(t), public: freePort(t), data: data}
	server := launch(t, asNobody, "apquic-server", n.serverArguments()...)
	waitFor(t, server.stdout, `^(apquic-server invite)`)
}
