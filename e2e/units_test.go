package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// somebody is an invitation of a server that need not exist.
const somebody = "apquic://HZXXs9LTfNQjrDKvvexRhuMk8TTJhYCfrHwaj3jUzuhZ@tunnel.example.com:8090"

// TestUnits: the units in packaging/systemd start programs with existing flags, and systemd knows every key.
func TestUnits(t *testing.T) {
	t.Parallel()
	for name, more := range map[string][]string{
		"apquic-server": nil,
		"apquic-node":   {"--server", somebody}, // an installed node has joined before
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unit := readUnit(t, name)
			program, arguments, _ := strings.Cut(value(t, unit, "ExecStart"), " ")
			if program != "/usr/local/bin/"+name {
				t.Errorf("the unit starts %s, which README does not install", program)
			}
			check := exec.Command(filepath.Join(bin, name), append(append([]string{"check"}, strings.Fields(arguments)...), more...)...)
			out, err := check.CombinedOutput()
			if err != nil {
				t.Errorf("%v: %v\n%s", check.Args, err, out)
			}
			if name == "apquic-server" {
				placeForEachPort(t, unit, string(out))
			}
			if name == "apquic-node" && value(t, unit, "RestartPreventExitStatus") != "4" { // see leave.txtar
				t.Error("a node that has left its server is started again")
			}
			if state := "--data-dir /var/lib/" + value(t, unit, "StateDirectory"); !strings.Contains(arguments, state) {
				t.Errorf("%q lacks %s, the only place that the service may write to", arguments, state)
			}
			verify(t, strings.ReplaceAll(unit, program, filepath.Join(bin, name)))
		})
	}
}

// placeForEachPort: the descriptor store holds two sockets for each port of the range, that of the tunnel, and the two
// shared by domains.
func placeForEachPort(t *testing.T, unit, checked string) {
	t.Helper()
	found := regexp.MustCompile(`\((\d+) ports\)`).FindStringSubmatch(checked)
	if found == nil {
		t.Fatalf("no range in\n%s", checked)
	}
	ports, _ := strconv.Atoi(found[1])
	if got := value(t, unit, "FileDescriptorStoreMax"); got != strconv.Itoa(2*ports+3) {
		t.Errorf("FileDescriptorStoreMax=%s for %d ports", got, ports)
	}
}

func readUnit(t *testing.T, name string) string {
	t.Helper()
	unit, err := os.ReadFile("../packaging/systemd/" + name + ".service")
	if err != nil {
		t.Fatal(err)
	}
	return string(unit)
}

// value returns the value of a key that occurs once in the unit.
func value(t *testing.T, unit, key string) string {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^`+key+`=(.*)$`).FindAllStringSubmatch(unit, -1)
	if len(lines) != 1 {
		t.Fatalf("%s= is there %d times", key, len(lines))
	}
	return lines[0][1]
}

// verify makes systemd, where it is installed, read a unit. It complains about unknown keys, but succeeds.
func verify(t *testing.T, unit string) {
	t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not here: systemd was not asked")
		return
	}
	file := filepath.Join(t.TempDir(), "apquic.service")
	if systemdVersion(t, analyze) < 253 {
		unit = strings.Replace(unit, "Type=notify-reload", "Type=notify", 1) // as the unit says
	}
	if err := os.WriteFile(file, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// systemdVersion is what systemd-analyze says of itself.
func systemdVersion(t *testing.T, analyze string) int {
	t.Helper()
	out, err := exec.Command(analyze, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(out))
	version, err := strconv.Atoi(fields[min(1, len(fields)-1)])
	if err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return version
}
