package e2e

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// demo is a running demo; its files are below folder, which distinguishes its programs from others.
type demo struct {
	*exec.Cmd
	folder string
	output *bufio.Reader
	pipe   io.Closer
}

func startDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{Cmd: exec.Command(filepath.Join(bin, "demo")), folder: t.TempDir()}
	d.Env = append(os.Environ(), "TMPDIR="+d.folder, "ONCE=", "GORACE=atexit_sleep_ms=0")
	pipe, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.output, d.pipe = bufio.NewReader(pipe), pipe
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Process.Kill()
		d.Wait()
		for _, process := range d.programs(t) {
			syscall.Kill(process, syscall.SIGKILL)
		}
	})
	return d
}

// await returns the first group of the first line that pattern matches.
func (d *demo) await(t *testing.T, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	for {
		line, err := d.output.ReadString('\n')
		if match := expression.FindStringSubmatch(line); match != nil {
			return match[1]
		}
		if err != nil {
			t.Fatalf("the demo said nothing like %s: %v", pattern, err)
		}
	}
}

// programs are the processes of the demo's programs.
func (d *demo) programs(t *testing.T) (found []int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		line, _ := os.ReadFile(path) // it may have ended
		if bytes.Contains(line, []byte(d.folder)) {
			process, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			found = append(found, process)
		}
	}
	return found
}

func (d *demo) awaitEndOfPrograms(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(maxWait); ; <-tick.C {
		left := d.programs(t)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the processes %v of the demo still run", left)
		}
	}
}

// The demo is for this machine alone: nobody on the LAN can reach it.
func TestDemoIsLocal(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for _, port := range []string{d.await(t, `http://127\.0\.0\.1:(\d+)/`), d.await(t, `https://demo\.localhost:(\d+)/`)} {
		listensLocally(t, port)
	}
}

func listensLocally(t *testing.T, port string) {
	t.Helper()
	out, err := exec.Command("ss", "-Hltn", "sport", "=", ":"+port).CombinedOutput()
	if err != nil {
		t.Fatalf("ss: %v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("127.0.0.1:"+port)) || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("listening at port %s:\n%s", port, out)
	}
}

// make demo | head ends the demo and its programs, and so does a closed terminal or kill -9.
func TestDemoEndsWhole(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(d *demo) error{
		"nobody reads its output": func(d *demo) error {
			d.pipe.Close()
			programs := d.programs(t)
			return syscall.Kill(programs[len(programs)-1], syscall.SIGTERM) // which the demo tells
		},
		"the terminal is closed": func(d *demo) error { return d.Process.Signal(syscall.SIGHUP) },
		"it is killed":           func(d *demo) error { return d.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDemo(t)
			d.await(t, `(Ctrl-C ends the demo)`)
			if len(d.programs(t)) != 2 {
				t.Fatalf("the programs are %v", d.programs(t))
			}
			if err := end(d); err != nil {
				t.Fatal(err)
			}
			d.awaitEndOfPrograms(t)
		})
	}
}
