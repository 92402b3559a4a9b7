package notices

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCommandHasNoCapabilities: what systemd gives the program, such as ports below 1024, its commands do not get.
func TestCommandHasNoCapabilities(t *testing.T) {
	const told = "APQUIC_TEST_CAPABILITIES"
	if out := os.Getenv(told); out != "" { // in the program that has them
		if err := newCommand(`grep CapAmb /proc/self/status > `+out).send(t.Context(), joined()); err != nil {
			t.Fatal(err)
		}
		return
	}
	out := filepath.Join(t.TempDir(), "out")
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	program.Env = append(os.Environ(), told+"="+out)
	program.SysProcAttr = &syscall.SysProcAttr{AmbientCaps: []uintptr{unix.CAP_NET_BIND_SERVICE}}
	said, err := program.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skip("only a user with capabilities may give some")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	text, err := os.ReadFile(out)
	if got := strings.TrimSpace(strings.TrimPrefix(string(text), "CapAmb:")); err != nil || got != fmt.Sprintf("%016x", 0) {
		t.Errorf("the command has the capabilities %q: %v", got, err)
	}
}
