// Demo is what make demo runs: both real programs, which are beside it, on the loopback interface alone, with
// throw-away data, and a small web site behind the node. It shows the public URL and runs until Ctrl-C. With
// ONCE=1 in the environment it instead fetches the page through the tunnel, shows it, and exits with status 0
// if it is the site's page.
//
// It starts the programs as a person would and must not import anything of this module.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
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

	serverData := filepath.Join(data, "server")
	server, err := start(ctx, out, filepath.Join(bin, "apquic-server"), "--listen", "127.0.0.1:0",
		"--public-host", "127.0.0.1", "--public-listen", "127.0.0.1", "--data-dir", serverData)
	if err != nil {
		return err
	}
	defer func() { cancel(); <-server.exited }()
	if _, err := server.firstLine(ctx); err != nil { // the command that is used next
		return err
	}
	inviting, err := start(ctx, out, filepath.Join(bin, "apquic-server"), "invite", "raspberry-pi", "--data-dir", serverData)
	if err != nil {
		return err
	}
	<-inviting.exited
	invitation, err := inviting.firstLine(ctx)
	if err != nil {
		return err
	}
	node, err := start(ctx, out, filepath.Join(bin, "apquic-node"), "--server", invitation,
		"--upstream", "web="+site, "--data-dir", filepath.Join(data, "node"))
	if err != nil {
		return err
	}
	defer func() { cancel(); <-node.exited }()
	line, err := node.firstLine(ctx)
	if err != nil {
		return err
	}
	_, public, _ := strings.Cut(line, "tcp://")
	public, _, _ = strings.Cut(public, " ")
	if once {
		return fetchOnce(ctx, out, public, site)
	}
	out.line("\n    Open this in your browser:  http://" + public + "/\n\n    Ctrl-C ends the demo.\n")
	return stay(ctx, server, node)
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

// fetchOnce shows the page as it comes through the tunnel and compares it with the site's own.
func fetchOnce(ctx context.Context, out *terminal, public, site string) error {
	want, err := fetch(ctx, site, public)
	if err != nil {
		return fmt.Errorf("fetching the page from the site itself: %w", err)
	}
	got, err := fetch(ctx, public, public)
	if err != nil {
		return fmt.Errorf("fetching the page through the tunnel: %w", err)
	}
	out.line("\n" + got)
	if got != want {
		return errors.New("the page that came through the tunnel is not the page of the site")
	}
	out.line(fmt.Sprintf("http://%s/ answered with the page of the site, %d bytes, through the tunnel.", public, len(got)))
	return nil
}

func fetch(ctx context.Context, address, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return "", err
	}
	request.Host = host
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return string(body), err
}
