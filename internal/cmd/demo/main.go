// Demo is what make demo runs: both real programs, which are beside it, on the loopback interface alone, with
// throw-away data, and a small web site behind the node. It shows the public URLs, of a port and of a name with
// HTTPS, and runs until Ctrl-C. With ONCE=1 in the environment it instead fetches the page through the tunnel,
// shows it, and exits with status 0 if it is the site's page from both.
//
// It starts the programs as a person would and must not import anything of this module.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
)

func main() {
	runtime.LockOSThread() // to withParent, the parent is the thread that starts a program
	// Without its terminal, or the reader of its output, the demo ends, too, together with the programs.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	once := os.Getenv("ONCE")
	self, err := os.Executable()
	if err == nil {
		err = run(ctx, filepath.Dir(self), &terminal{w: os.Stdout}, once != "" && once != "0")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, out *terminal, once bool) error {
	data, err := os.MkdirTemp("", "apquic-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	site, wait, err := serveSite(ctx)
	if err != nil {
		return err
	}
	defer func() { cancel(); wait() }()
	authority, err := newAuthority(data, siteName)
	if err != nil {
		return err
	}

	serverData := filepath.Join(data, "server")
	server, err := start(ctx, out, filepath.Join(bin, "apquic-server"), "--listen", "127.0.0.1:0",
		"--public-host", "127.0.0.1", "--public-listen", "127.0.0.1", "--https", "127.0.0.1:0", "--data-dir", serverData)
	if err != nil {
		return err
	}
	defer func() { cancel(); <-server.exited }()
	if _, err := server.nextLine(ctx); err != nil { // the command that is used next
		return err
	}
	inviting, err := start(ctx, out, filepath.Join(bin, "apquic-server"), "invite", "raspberry-pi", "--data-dir", serverData)
	if err != nil {
		return err
	}
	<-inviting.exited
	invitation, err := inviting.nextLine(ctx)
	if err != nil {
		return err
	}
	node, byPort, byName, err := startNode(ctx, out, bin, data, invitation, nodeFile(site, authority))
	if node != nil {
		defer func() { cancel(); <-node.exited }()
	}
	if err != nil {
		return err
	}
	if once {
		return fetchOnce(ctx, out, site, authority.roots, byPort, byName)
	}
	out.line(fmt.Sprintf(`
    Open this in your browser:  %s
    or, by its name with HTTPS:  %s
    (made-up certificate: the browser warns; curl --cacert %s trusts it)

    Ctrl-C ends the demo.
`, byPort, byName, authority.file))
	return stay(ctx, server, node)
}

// startNode starts the node with a file, and returns the URLs of its two services.
func startNode(ctx context.Context, out *terminal, bin, data, invitation string, file []byte) (node *program, byPort, byName string, err error) {
	config := filepath.Join(data, "node.json")
	if err := os.WriteFile(config, file, 0o600); err != nil {
		return nil, "", "", err
	}
	node, err = start(ctx, out, filepath.Join(bin, "apquic-node"), "-c", config, "--server", invitation, "--data-dir", filepath.Join(data, "node"))
	if err != nil {
		return nil, "", "", err
	}
	for byPort == "" || byName == "" {
		line, err := node.nextLine(ctx)
		if err != nil {
			return node, "", "", err
		}
		if match := leased.FindStringSubmatch(line); match != nil && match[1] == "tcp" {
			byPort = "http://" + match[2] + "/"
		} else if match != nil {
			byName = "https://" + match[2] + "/"
		}
	}
	return node, byPort, byName, nil
}

// siteName is a name of this machine, for browsers and curl without asking DNS (RFC 6761 section 6.3).
const siteName = "demo.localhost"

// leased matches what a node says about the public address of a service.
var leased = regexp.MustCompile(`(tcp|https)://(\S+) -> `)

// nodeFile is the configuration of the node: the site at a port, and by its name.
func nodeFile(site string, a *authority) []byte {
	return fmt.Appendf(nil, `{
  "services": {
    "web": %q,
    "named": {"upstream": %q, "domain": %q, "certificate": %q, "key": %q},
  },
}
`, site, "http://"+site, siteName, a.certificate, a.key)
}

// stay waits for Ctrl-C, or for a program to end, which is an error.
func stay(ctx context.Context, server, node *program) error {
	var ended *program
	select {
	case <-ctx.Done():
		return nil
	case <-server.exited:
		ended = server
	case <-node.exited:
		ended = node
	}
	if ended.err == nil { // Ctrl-C also reaches the programs, sometimes before us
		return nil
	}
	return fmt.Errorf("%s ended: %v", ended.name, ended.err)
}
