// Package e2e tests the two programs as people run them: built by go build, started as processes, on real
// sockets. Each script in testdata/script is one scenario; the commands that scripts have beyond testscript's
// are in commands.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// bin is the folder with both programs, with the demo, and with the node of docs/protocol.md section 13.
var bin string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "apquic-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	arguments := append([]string{"build", "-buildvcs=false", "-o", dir}, ownFlags()...)
	if out, err := exec.Command("go", append(arguments, "../cmd/...", "../internal/cmd/demo", "../internal/cmd/minimalnode")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		return 1
	}
	bin = dir
	os.Setenv("GORACE", "atexit_sleep_ms=0") // each command under the race detector would linger for a second before it ends
	return m.Run()
}

// ownFlags are those with which this test was built: under the race detector its programs must be, too. Of several
// -gcflags, only the last is known.
func ownFlags() (flags []string) {
	info, _ := debug.ReadBuildInfo()
	for _, setting := range info.Settings {
		if setting.Key == "-race" || setting.Key == "-gcflags" {
			flags = append(flags, setting.Key+"="+setting.Value)
		}
		if setting.Key == "-race" {
			flags = append(flags, "-gcflags=golang.org/x/crypto/blowfish=-race=false", "-gcflags=golang.org/x/crypto/scrypt=-race=false") // as in the Makefile
		}
	}
	return flags
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setup,
		Cmds:                commands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// TestARM runs the scripts in testdata/arm with the linux/arm program that APQUIC_ARM_NODE names, under
// qemu-user. make test-arm builds it and runs this.
func TestARM(t *testing.T) {
	node := os.Getenv("APQUIC_ARM_NODE")
	if node == "" {
		t.Skip("make test-arm runs this: it needs qemu-user and a node for linux/arm")
	}
	qemu, err := exec.LookPath("qemu-arm-static")
	if err != nil {
		t.Fatalf("install qemu-user-static: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/arm",
		Cmds: commands,
		Setup: func(env *testscript.Env) error {
			env.Setenv("QEMU_ARM", qemu)
			env.Setenv("ARM_NODE", node)
			return setup(env)
		},
	})
}

func setup(env *testscript.Env) error {
	env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
	env.Setenv("GORACE", os.Getenv("GORACE"))
	seeds, err := filepath.Abs("../internal/settings/testdata/seeds")
	if err != nil {
		return err
	}
	env.Setenv("SEEDS", seeds)
	w := &world{t: env.T(), processes: map[string]*process{}, conns: map[string]*conn{}}
	env.Values[worldKey{}] = w
	env.Defer(w.end)
	return nil
}

// commands are what the scripts can do beyond testscript's own commands. A wait of more than maxWait fails
// the test.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// Processes.
	"start":   start,   // start NAME PROGRAM ARGUMENT...
	"waitfor": waitfor, // waitfor NAME REGEXP [VARIABLE]: a line on stdout; its first group into VARIABLE
	"waitlog": waitlog, // waitlog NAME REGEXP: a line on stderr
	"signal":  signal,  // signal NAME SIGNAL
	"exits":   exits,   // exits NAME STATUS: also makes its output that of stdout and stderr

	"capture": capture,     // capture VARIABLE: what was printed last into it
	"json":    printedJSON, // json [PATH[=VALUE]]...: what was printed last is one JSON value, with these members

	// The services behind nodes, in the test itself.
	"upstream":    upstream,    // upstream VARIABLE KIND [TEXT]: its address; the port alone is VARIABLE_PORT
	"udpupstream": udpUpstream, // udpupstream VARIABLE: starts an echo over UDP
	"udpask":      udpAsk,      // udpask CLIENT ADDRESS SIZE: from one socket, until it answers

	// Public clients.
	"fetch":      fetch,      // [!] fetch URL: the body is stdout
	"dial":       dial,       // [!] dial NAME ADDRESS
	"send":       send,       // send NAME TEXT
	"read":       read,       // read NAME TEXT: exactly this comes next
	"closewrite": closewrite, // closewrite NAME
	"rest":       rest,       // rest NAME: until the end, as stdout; ! rest NAME: a reset comes
	"flood":      flood,      // flood ADDRESS NUMBER: that many connections, kept; prints how many were not reset
	"reset":      reset,      // reset ADDRESS: a connection without a word is reset

	// Files.
	"replace": replace,    // replace FILE OLD NEW: all of them, at least one
	"append":  appendLine, // append FILE LINE
	"mode":    mode,       // mode OCTAL FILE...: these have exactly these permissions

	// The network.
	"freeports": freeports, // freeports VARIABLE N: a range a-b; its ports are VARIABLE1, VARIABLE2...
	"occupy":    occupy,    // occupy PORT: another program listens on it
	"leave":     leave,     // leave PORT: and no longer does
	"garbage":   garbage,   // garbage ADDRESS N: N senseless datagrams
	"datagram":  datagram,  // datagram PORT: waits for one
}
