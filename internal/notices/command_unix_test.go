//go:build unix

package notices

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func newCommand(script string) *command {
	return &command{arguments: []string{"/bin/sh", "-c", script}, places: make(chan struct{}, maxCommands), timeout: 20 * time.Second, from: sender{"apquic-server", "vps"}}
}

// TestCommand: a real command gets the event on stdin and in its environment, and nothing else of the program's.
func TestCommand(t *testing.T) {
	t.Setenv("APQUIC_SERVER", "apquic://geheim")
	out := filepath.Join(t.TempDir(), "out")
	if err := newCommand(`cat > `+out+`; env >> `+out).send(t.Context(), joined()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"event":"join","id":"42"`, "NOTICE_EVENT=join\n", "NOTICE_MISSED=3\n", "NOTICE_NODE=A…\n", "NOTICE_NAME=\"}, {text} \n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "geheim") {
		t.Errorf("it has the environment of the program:\n%s", text)
	}
}

// TestFailingCommand: a failure is told with the beginning of what the command says, and one that cannot begin is not
// tried again.
func TestFailingCommand(t *testing.T) {
	t.Parallel()
	err := newCommand(`yes no | head -c 1000000 >&2; exit 3`).send(t.Context(), joined())
	if err == nil || !strings.Contains(err.Error(), "exit status 3: no no") || len(err.Error()) > 300 {
		t.Errorf("%v", err)
	}
	c := newCommand("")
	c.arguments = []string{filepath.Join(t.TempDir(), "missing")}
	if _, lost := errors.AsType[permanent](c.send(t.Context(), joined())); !lost {
		t.Error("a missing command is tried again")
	}
	if err := newCommand(`exec <&-; exit 0`).send(t.Context(), joined()); err != nil {
		t.Errorf("one that does not read: %v", err)
	}
}

// TestHangingCommand: one that does not end is killed with all that it has started, and so is what an ended one leaves.
func TestHangingCommand(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{"hangs": "sleep 1000 & echo $! > %; trap '' TERM; wait; sleep 1000", "leaves": "sleep 1000 & echo $! > %"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			c := newCommand(strings.ReplaceAll(script, "%", file))
			c.timeout = 2 * time.Second
			begun := time.Now()
			err := c.send(t.Context(), joined())
			if took := time.Since(begun); took > 15*time.Second || name == "hangs" && (err == nil || !strings.Contains(err.Error(), "not ended")) {
				t.Errorf("%v after %v", err, took)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			child, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			for range 500 {
				if isGone(child) {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			syscall.Kill(child, syscall.SIGKILL)
			t.Error("what it has started runs on")
		})
	}
}

// isGone reports whether a process has ended, perhaps without anybody who waits for it.
func isGone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// TestFewCommands: so many run at once, and the others wait.
func TestFewCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newCommand(`mkdir -p ` + dir + `/$$; ls -d ` + dir + `/*/ | wc -l > ` + dir + `/count.$$; sleep 0.1; rmdir ` + dir + `/$$`)
	var running sync.WaitGroup
	for range 3 * maxCommands {
		running.Go(func() {
			if err := c.send(t.Context(), joined()); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	counts, _ := filepath.Glob(dir + "/count.*")
	for _, file := range counts {
		text, _ := os.ReadFile(file)
		if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || n > maxCommands {
			t.Errorf("%s run at once: %v", text, err)
		}
	}
	if len(counts) != 3*maxCommands {
		t.Errorf("%d have run", len(counts))
	}
}
