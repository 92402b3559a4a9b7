package e2e

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// maxWait bounds every wait. Only failures wait that long.
const maxWait = 30 * time.Second

// world is what belongs to one running script.
type world struct {
	t          testscript.T
	processes  map[string]*process
	conns      map[string]*conn
	occupied   map[string]io.Closer
	services   []io.Closer
	udpClients map[string]net.Conn
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// end leaves nothing behind, and shows what the processes printed if the test failed.
func (w *world) end() {
	for _, c := range w.conns {
		c.Close()
	}
	for name, p := range w.processes {
		p.cmd.Process.Kill()
		<-p.exited
		w.t.Log(fmt.Sprintf("%s said on stdout:\n%s\n%s said on stderr:\n%s", name, p.stdout.text(), name, p.stderr.text()))
	}
	for _, c := range w.occupied {
		c.Close()
	}
	for _, s := range w.services {
		s.Close()
	}
}

type process struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	exited         chan struct{}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME PROGRAM ARGUMENT...")
	}
	w := worldOf(ts)
	if old := w.processes[args[0]]; old != nil {
		<-old.exited
	}
	program := args[1]
	if !filepath.IsAbs(program) {
		program = filepath.Join(bin, program)
	}
	p := &process{cmd: exec.Command(program, args[2:]...), stdout: newOutput(), stderr: newOutput(), exited: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "GORACE"} { // and no settings of the tester's own
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	ts.Check(p.cmd.Start())
	go func() {
		p.cmd.Wait()
		p.stdout.close()
		p.stderr.close()
		close(p.exited)
	}()
	w.processes[args[0]] = p
}

func processOf(ts *testscript.TestScript, name string) *process {
	p := worldOf(ts).processes[name]
	if p == nil {
		ts.Fatalf("no process %s was started", name)
	}
	return p
}

func waitfor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: waitfor NAME REGEXP [VARIABLE]")
	}
	match := await(ts, args[0], processOf(ts, args[0]).stdout, args[1])
	if len(args) == 3 {
		ts.Setenv(args[2], match[len(match)-1])
	}
}

func waitlog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitlog NAME REGEXP")
	}
	await(ts, args[0], processOf(ts, args[0]).stderr, args[1])
}

func await(ts *testscript.TestScript, name string, from *output, pattern string) []string {
	expression, err := regexp.Compile(pattern)
	ts.Check(err)
	match, err := from.await(expression)
	if err != nil {
		ts.Fatalf("%s: %v", name, err)
	}
	return match
}

func signal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL, "USR1": syscall.SIGUSR1}
	if neg || len(args) != 2 || signals[args[1]] == 0 {
		ts.Fatalf("usage: signal NAME TERM|INT|HUP|KILL|USR1")
	}
	ts.Check(processOf(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// exits accepts the status killed as well as numbers.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: exits NAME STATUS")
	}
	p := processOf(ts, args[0])
	select {
	case <-p.exited:
	case <-time.After(maxWait):
		ts.Fatalf("%s still runs", args[0])
	}
	io.WriteString(ts.Stdout(), p.stdout.text())
	io.WriteString(ts.Stderr(), p.stderr.text())
	status := strconv.Itoa(p.cmd.ProcessState.ExitCode())
	if p.cmd.ProcessState.ExitCode() == -1 {
		status = "killed"
	}
	if status != args[1] {
		ts.Fatalf("%s exited with status %s, not %s", args[0], status, args[1])
	}
}
