package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// installForeign builds the program of another module, and returns its path in bin, or what go said.
func installForeign(module string) (program string, err error) {
	name, _, _ := strings.Cut(path.Base(module), "@")
	install := exec.Command("go", "install", module)
	install.Env = append(os.Environ(), "GOBIN="+filepath.Join(bin, name), "GOFLAGS=-buildvcs=false")
	if out, err := install.CombinedOutput(); err != nil {
		return string(out), err
	}
	return filepath.Join(name, name), nil
}

// buildForeign builds programs of other modules into a folder of bin, with what the module proxy has. It is
// for modules that go install refuses; those that are listed first decide about versions.
func buildForeign(folder, cgo string, modules, packages []string) (output string, err error) {
	work, err := os.MkdirTemp(bin, folder)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	steps := [][]string{
		{"mod", "init", "foreign"},
		append([]string{"get"}, modules...),
		append([]string{"build", "-o", filepath.Join(bin, folder) + string(filepath.Separator)}, packages...),
	}
	for _, step := range steps {
		command := exec.Command("go", step...)
		command.Dir = work
		command.Env = append(os.Environ(), "CGO_ENABLED="+cgo, "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
		if out, err := command.CombinedOutput(); err != nil {
			return string(out), fmt.Errorf("go %v: %w", step, err)
		}
	}
	return "", nil
}

// waitForPort waits until a program listens at a port of this machine.
func waitForPort(t *testing.T, port string) {
	t.Helper()
	for deadline := time.Now().Add(maxWait); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", net.JoinHostPort("localhost", port))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
