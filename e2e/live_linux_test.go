package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// ask runs a command of the server on its data directory.
func (n *tunnel) ask(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin, "apquic-server"), append(arguments, "--data-dir", n.data)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", arguments, err, out)
	}
	return string(out)
}

// fits checks that a text can be read in a terminal of 80 columns.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// liveRelays is the JSON of relays.
type liveRelays struct {
	Relays struct {
		Total int
		Rows  []struct {
			Name, Service, Client, State string
			BytesIn, BytesOut            uint64
			Since                        time.Time
		}
	}
	Flows struct{ Total int }
}

func (n *tunnel) relays(t *testing.T, arguments ...string) (r liveRelays) {
	t.Helper()
	if err := json.Unmarshal([]byte(n.ask(t, append([]string{"relays", "--json"}, arguments...)...)), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestShow: each command that shows what runs says what is there, fits a terminal, and tells programs the same.
func TestShow(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	for _, command := range []string{"status", "nodes", "services", "relays", "top"} {
		fits(t, n.ask(t, command)) // nobody is here
	}
	data := t.TempDir()
	n.node(t, nil, "--data-dir", data)
	c := n.echo(t, "hello")
	defer c.Close()
	client := c.LocalAddr().String()
	for command, parts := range map[string][]string{
		"status":   {"reachable    at 127.0.0.1:", "nodes        1 of 1 online", "1 of 1 ports in use", "now          1 connection,", "node-1  "},
		"nodes":    {"NODE    STATE", "node-1  online ", " ms  ", "  127.0.0.1  "},
		"services": {"node-1  ", "  to tcp://127.0.0.1:"},
		"relays":   {"node-1  ", client, "  running\n", "  5 B  5 B  "},
		"top":      {"IN/S", "FROM/S", "node-1"},
	} {
		text := n.ask(t, command)
		fits(t, text)
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q in\n%s", command, part, text)
			}
		}
		if text := n.ask(t, command, "--json"); !json.Valid([]byte(text)) || strings.Contains(text, "null") {
			t.Errorf("%s --json: %s", command, text)
		}
	}
	for sent := uint64(5); sent < 5e5; sent += 1e5 {
		r := n.relays(t, "--node", "node-1").Relays
		if r.Total != 1 || r.Rows[0].Client != client || r.Rows[0].BytesIn != sent || r.Rows[0].BytesOut != sent || r.Rows[0].Name != "node-1" || time.Since(r.Rows[0].Since) > time.Hour {
			t.Errorf("after %d bytes: %+v", sent, r)
		}
		exchange(t, c, strings.Repeat("x", 1e5))
	}
	text, err := exec.Command(filepath.Join(bin, "apquic-node"), "status", "--data-dir", data).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(text), "connected to 127.0.0.1:") || !strings.Contains(string(text), client) || !strings.Contains(string(text), "  500 kB  500 kB  running\n") {
		t.Errorf("%v\n%s", err, text)
	}
	fits(t, string(text))
	watch := launch(t, nil, "apquic-node", "status", "--watch", "--json", "--data-dir", data)
	for range 2 {
		var status struct {
			MinRTTMilliseconds, KeepaliveSeconds float64
			Remote                               string
			RelaysTotal                          int
			Relays                               []struct{ Client string }
		}
		line := waitFor(t, watch.stdout, `^(\{.*\})$`)
		if err := json.Unmarshal([]byte(line), &status); err != nil || status.MinRTTMilliseconds <= 0 || status.KeepaliveSeconds <= 0 ||
			!strings.HasPrefix(status.Remote, "127.0.0.1:") || status.RelaysTotal != 1 || status.Relays[0].Client != client {
			t.Errorf("%s: %v", line, err)
		}
	}
	watch.kill(t, syscall.SIGINT)
	if status := watch.status(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if r := n.relays(t, "--service", "other").Relays; r.Total != 0 || r.Rows == nil {
		t.Errorf("%+v", r)
	}
	if out, err := exec.Command(filepath.Join(bin, "apquic-server"), "relays", "--node", "nobody", "--data-dir", n.data).CombinedOutput(); err == nil || !strings.Contains(string(out), "hint: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTop: the rates of top are those at which bytes pass, for the service and for its node.
func TestTop(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	n.node(t, nil)
	c := n.echo(t, "hello")
	c.SetDeadline(time.Now().Add(time.Hour))
	const perSecond = 200_000
	var sending sync.WaitGroup
	over := make(chan struct{})
	sending.Go(func() {
		for ticks := time.NewTicker(time.Second / 20); ; {
			select {
			case <-ticks.C:
				exchange(t, c, strings.Repeat("x", perSecond/20))
			case <-over:
				return
			}
		}
	})
	var top struct {
		Seconds  float64
		Services []struct {
			Service                             string
			BytesInPerSecond, BytesOutPerSecond float64
		}
		Nodes []struct {
			Name                                       string
			BytesReceivedPerSecond, BytesSentPerSecond float64
		}
	}
	err := json.Unmarshal([]byte(n.ask(t, "top", "--json")), &top)
	close(over)
	sending.Wait()
	if err != nil || len(top.Services) != 1 || len(top.Nodes) != 1 || top.Seconds < 0.9 {
		t.Fatalf("%v, %+v", err, top)
	}
	for _, rate := range []float64{top.Services[0].BytesInPerSecond, top.Services[0].BytesOutPerSecond, top.Nodes[0].BytesReceivedPerSecond, top.Nodes[0].BytesSentPerSecond} {
		if rate < perSecond/4 || rate > 2*perSecond { // a busy machine sends less
			t.Errorf("%+v", top)
			break
		}
	}
}

// TestWatch: --watch goes on until it is interrupted, which is no failure; for programs it prints a line each time, and
// on a terminal it draws over what was there. It outlives the server.
func TestWatch(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	watch := launch(t, nil, "apquic-server", "status", "--watch", "--json", "--data-dir", n.data)
	for range 2 {
		line := waitFor(t, watch.stdout, `^(\{.*\})$`)
		var status struct{ Running bool }
		if err := json.Unmarshal([]byte(line), &status); err != nil || !status.Running {
			t.Errorf("%s: %v", line, err)
		}
	}
	n.server.kill(t, syscall.SIGTERM)
	n.server.status(t)
	waitFor(t, watch.stdout, `^(\{"running":false.*\})$`)
	watch.kill(t, syscall.SIGINT)
	if status := watch.status(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	onTerminal := exec.Command(realProgram(t, "script"), "-qec", "exec "+filepath.Join(bin, "apquic-server")+" nodes --watch --data-dir "+n.data, "/dev/null")
	keyboard, err := onTerminal.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	screen, err := onTerminal.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := onTerminal.Start(); err != nil {
		t.Fatal(err)
	}
	reader, drawn := bufio.NewReader(screen), ""
	for strings.Count(drawn, "\x1b[H") < 2 {
		part := make([]byte, 4096)
		k, err := reader.Read(part)
		if drawn += string(part[:k]); err != nil {
			t.Fatalf("%v after %q", err, drawn)
		}
	}
	if !strings.HasPrefix(drawn, "\x1b[2J\x1b[HThere are no nodes yet") {
		t.Errorf("%q", drawn)
	}
	io.WriteString(keyboard, "\x03")
	go io.Copy(io.Discard, reader)
	if err := onTerminal.Wait(); err != nil {
		t.Errorf("after ^C: %v", err)
	}
}

// TestKickAndRevoke: kick ends a session, and the node comes back; revoke ends it within a second, and it does not.
func TestKickAndRevoke(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	node := n.node(t, nil)
	c := n.echo(t, "hello")
	if text := n.ask(t, "kick", "node-1"); !strings.Contains(text, "The session of node-1 has ended (1 connection with it). The node may come back") {
		t.Errorf("%s", text)
	}
	c.SetDeadline(time.Now().Add(maxWait))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
	waitFor(t, node.stderr, "the operator of the server ended the session")
	for end := time.Now().Add(maxWait); !strings.Contains(n.ask(t, "nodes"), "online"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the node does not come back")
		}
	}
	c = n.echo(t, "hello again")
	c.SetDeadline(time.Now().Add(maxWait))
	n.ask(t, "revoke", "node-1")
	begun := time.Now()
	if _, err := c.Read(make([]byte, 1)); err == nil || time.Since(begun) > time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	if text := n.ask(t, "nodes"); !strings.Contains(text, "node-1  revoked") {
		t.Errorf("%s", text)
	}
	out, err := exec.Command(filepath.Join(bin, "apquic-server"), "kick", "node-1", "--data-dir", n.data).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "node-1 has no session here") || !strings.Contains(string(out), "hint: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCompletion: the shells complete commands, flags, and the names that the running server knows.
func TestCompletion(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	n.node(t, nil)
	for shell, script := range map[string]string{
		"bash": `set -u; source <(apquic-server completion bash)
			complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _apquic_server; echo "${COMPREPLY[*]}"; }`,
		"zsh": `compdef() { :; }; _files() { echo files; }; compadd() { shift; echo "$@"; }
			source <(apquic-server completion zsh)
			complete_line() { words=("$@"); CURRENT=$#; _apquic_server; }`,
		"fish": `apquic-server completion fish | source
			function complete_line; echo (complete -C (string join ' ' -- $argv) | string split -f1 \t); end`,
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path := realProgram(t, shell)
			options := map[string][]string{"bash": {"--norc"}, "zsh": {"-f"}, "fish": {"--no-config"}}[shell]
			for line, want := range map[string]string{
				"apquic-server ki":                               "kick",
				"apquic-server revoke --data-dir DATA no":        "node-1",
				"apquic-server relays --data-dir DATA --node no": "node-1",
				"apquic-server release --data-dir DATA node-1 w": "web",
				"apquic-server status --wat":                     "--watch",
				"apquic-server completion f":                     "fish",
			} {
				command := exec.Command(path, append(options, "-c", script+"\ncomplete_line "+strings.ReplaceAll(line, "DATA", n.data))...)
				command.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
				out, err := command.CombinedOutput()
				if err != nil || strings.TrimSpace(string(out)) != want {
					t.Errorf("%s: %q, want %q (%v)", line, out, want, err)
				}
			}
		})
	}
}

// TestManual: groff finds nothing wrong with the manual pages, which have every command and flag that the help has.
func TestManual(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"apquic-server", "apquic-node"} {
		page, err := exec.Command(filepath.Join(bin, program), "__man").Output()
		if err != nil {
			t.Fatal(err)
		}
		help, err := exec.Command(filepath.Join(bin, program), "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		groff := exec.Command(realProgram(t, "groff"), "-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-u", "-rLL=200n")
		var complaints strings.Builder
		groff.Stdin, groff.Stderr = strings.NewReader(string(page)), &complaints
		text, err := groff.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v\n%s", program, err, &complaints)
		}
		for _, word := range regexp.MustCompile(`--[a-z-]+|apquic-(server|node) [a-z-]+`).FindAllString(string(help), -1) {
			if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), word) {
				t.Errorf("%s: no %q in the page", program, word)
			}
		}
	}
}
