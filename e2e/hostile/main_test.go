//go:build linux

package hostile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// bin is the folder with both programs. They are built without the race detector, which multiplies memory.
var bin string

const insideVariable = "APQUIC_HOSTILE_INSIDE"

func TestMain(m *testing.M) { os.Exit(enter(m)) }

// enter runs the tests in a network namespace of their own.
func enter(m *testing.M) int {
	if os.Getenv(insideVariable) != "" {
		if err := exec.Command("ip", "link", "set", "lo", "up").Run(); err != nil {
			fmt.Fprintln(os.Stderr, "bringing the loopback interface up:", err)
			return 1
		}
		return buildAndRun(m)
	}
	self := exec.Command("/proc/self/exe", os.Args[1:]...)
	self.Env = append(os.Environ(), insideVariable+"=1")
	self.Stdin, self.Stdout, self.Stderr = os.Stdin, os.Stdout, os.Stderr
	self.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		self.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		self.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		self.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err := self.Run()
	exit := new(exec.ExitError)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "no namespace, so the attacks run in the network of this machine:", err)
	return buildAndRun(m)
}

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "apquic-hostile-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", folder, "../../cmd/...").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		return 1
	}
	bin = folder
	return m.Run()
}
