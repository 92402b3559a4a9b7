//go:build linux

package netns

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// maxWait bounds every wait. Only failures wait that long.
const maxWait = 30 * time.Second

// process is a running program whose output is in a file.
type process struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

// start runs one of our programs in a namespace until the test ends.
func start(n *namespace, name, command string, arguments ...string) *process {
	n.t.Helper()
	p := &process{t: n.t, name: name, log: filepath.Join(n.t.TempDir(), "log"), exited: make(chan struct{})}
	file, err := os.Create(p.log)
	if err != nil {
		n.t.Fatal(err)
	}
	p.cmd = exec.Command("ip", append([]string{"netns", "exec", n.name, program(command)}, arguments...)...)
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // and no settings of the tester's own
	p.cmd.Stdout, p.cmd.Stderr = file, file
	if err := p.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		p.cmd.Wait()
		file.Close()
	}()
	n.t.Cleanup(func() {
		p.kill()
		if n.t.Failed() {
			n.t.Logf("%s said:\n%s", p.name, p.text())
		}
	})
	return p
}

// kill ends the program without giving it time for anything.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) text() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Error(err)
	}
	return string(text)
}

// await waits for a line and returns what the first group of the expression matches in it.
func (p *process) await(expression string) string {
	p.t.Helper()
	line := regexp.MustCompile("(?m)" + expression)
	for deadline := time.Now().Add(maxWait); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if match := line.FindStringSubmatch(p.text()); match != nil {
			return match[1]
		}
		select {
		case <-p.exited:
			p.t.Fatalf("%s ended without a line like %s", p.name, expression)
		default:
		}
	}
	p.t.Fatalf("%s printed no line like %s", p.name, expression)
	return ""
}
