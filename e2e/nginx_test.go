package e2e

import (
	"fmt"
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

// realProgram returns where another project's program is. .ci/run installs it; elsewhere its tests are skipped.
func realProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatal(err)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// nginx runs the real one with a server block, in which LISTEN is the address, and returns that address.
func nginx(t *testing.T, block string) string {
	t.Helper()
	address, _ := startNginx(t, block)
	return address
}

// startNginx is nginx, and returns its process, too.
func startNginx(t *testing.T, block string) (address string, process *process) {
	t.Helper()
	program, folder := realProgram(t, "nginx"), t.TempDir()
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server { %[2]s }
}`, folder, strings.ReplaceAll(block, "LISTEN", address))
	path := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	process = launch(t, func(cmd *exec.Cmd) { cmd.Path = program }, "nginx", "-e", "stderr", "-p", folder, "-c", path)
	awaitListener(t, address)
	return address, process
}

// awaitListener returns when something listens there.
func awaitListener(t *testing.T, address string) {
	t.Helper()
	for end := time.Now().Add(maxWait); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nothing listens at %s", address)
}

// curl runs the real one and returns what it prints.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(realProgram(t, "curl"), append([]string{"-sS", "--max-time", "20"}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("curl %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// nodeFile writes the file of the tunnel's node, with these services, and returns the arguments that use it.
func (n *tunnel) nodeFile(t *testing.T, services string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.json")
	if err := os.WriteFile(path, []byte(`{"services": `+services+`}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-c", path, "--server", n.invitation, "--data-dir", n.data + "-of-node"}
}

// TestNginxOverTLS: a service that speaks TLS only is reached by plain HTTP at its public port. Its certificate
// is one of its own making, as that of most machines in a home: first the log says what to put into the file,
// and then that works.
func TestNginxOverTLS(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	key, cert := filepath.Join(folder, "key.pem"), filepath.Join(folder, "cert.pem")
	openssl := func(args ...string) string {
		out, err := exec.Command(realProgram(t, "openssl"), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=nas", "-addext", "subjectAltName=IP:127.0.0.1")
	upstream := nginx(t, fmt.Sprintf(`listen LISTEN ssl; ssl_certificate %s; ssl_certificate_key %s; location / { return 200 "over $scheme"; }`, cert, key))
	n := newTunnel(t)
	services := func(options string) []string {
		return n.nodeFile(t, fmt.Sprintf(`{"web": {"upstream": "https://%s"%s}}`, upstream, options))
	}

	node := launch(t, nil, "apquic-node", services("")...)
	pin := waitFor(t, node.stderr, `does not know.*hint=.*\\"pin\\": \\"([0-9a-f]{64})\\"`)
	node.kill(t, os.Interrupt.(syscall.Signal))
	node.status(t)
	fingerprint := openssl("x509", "-noout", "-fingerprint", "-sha256", "-in", cert)
	_, fingerprint, _ = strings.Cut(fingerprint, "=")
	if strings.ToLower(strings.ReplaceAll(fingerprint, ":", "")) != pin {
		t.Errorf("the log says %s, openssl %s", pin, fingerprint)
	}
	allowed := fmt.Sprintf("http://%s/", n.address())
	for _, options := range []string{`, "pin": "` + pin + `"`, `, "pin": "` + fingerprint + `"`, `, "ca": "` + cert + `"`} {
		node := launch(t, nil, "apquic-node", services(options)...)
		waitFor(t, node.stdout, `tcp://.* -> https://`)
		if got := curl(t, "--noproxy", "*", allowed); got != "over https" {
			t.Errorf("%s: %q", options, got)
		}
		node.kill(t, os.Interrupt.(syscall.Signal))
		node.status(t)
	}
}

// TestNginxSeesClients: nginx behind a node knows each visitor's address and port, in both versions of the
// PROXY protocol, over IPv4 and IPv6.
func TestNginxSeesClients(t *testing.T) {
	t.Parallel()
	upstream := nginx(t, `listen LISTEN proxy_protocol; location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port"; }`)
	for version := 1; version <= 2; version++ {
		n := newTunnel(t)
		node := launch(t, nil, "apquic-node", n.nodeFile(t, fmt.Sprintf(`{"web": {"upstream": %q, "proxyProtocol": %d}}`, upstream, version))...)
		waitFor(t, node.stdout, `tcp://`)
		for _, host := range []string{"127.0.0.1", "[::1]"} {
			url := fmt.Sprintf("http://%s:%d/", host, n.public)
			got := curl(t, "--noproxy", "*", "-w", "\n%{local_port}", url)
			answer, port, _ := strings.Cut(got, "\n")
			if want := fmt.Sprintf("%s %s %d", strings.Trim(host, "[]"), port, n.public); answer != want {
				t.Errorf("version %d, %s: nginx saw %q, want %q", version, url, answer, want)
			}
		}
	}
}
