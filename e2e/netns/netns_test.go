//go:build linux

// Package netns tests what happens to relays when the network under them changes: a home behind a NAT, a slow
// link and a public server, each a network namespace of this machine, with the real programs, sockets and
// kernel between them. The NAT forgets its mappings, home gets another address or another uplink, the link is
// cut, the server is killed.
//
// The tests need root and a few programs, so they are skipped unless make test-net runs them. They touch
// nothing outside of their own namespaces and leave none behind; they must not depend on each other, since
// they run at the same time, nor on how fast the machine is beyond the limits in limits_test.go.
//
// Words: download is bytes towards home, upload is bytes from home to the visitor, as the node sees it.
package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// enabled is the environment variable with which make test-net enables these tests.
const enabled = "APQUIC_TEST_NET"

// bin is the folder with the programs.
var bin string

func TestMain(m *testing.M) {
	os.Exit(prepareAndRun(m))
}

func prepareAndRun(m *testing.M) int {
	if os.Getenv(enabled) == "" {
		return m.Run()
	}
	if lacking := missing(); len(lacking) > 0 {
		fmt.Fprintf(os.Stderr, "error: the tests in network namespaces cannot run here:\n    %s\n", strings.Join(lacking, "\n    "))
		return 1
	}
	sweep()
	dir, err := os.MkdirTemp("", "apquic-netns-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "../../cmd/...", "../../internal/cmd/testlink")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "error: building the programs: %v\n%s", err, out)
		return 1
	}
	bin = dir
	return m.Run()
}

// missing lists what these tests need and this machine lacks.
func missing() (lacking []string) {
	if os.Geteuid() != 0 {
		return []string{"they need root, for network namespaces"}
	}
	for command, its := range map[string]string{"ip": "iproute2", "nft": "nftables", "conntrack": "conntrack", "nice": "coreutils"} {
		if _, err := exec.LookPath(command); err != nil {
			lacking = append(lacking, fmt.Sprintf("the command %s is missing: install the package %s", command, its))
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		lacking = append(lacking, "there are no TUN devices: "+err.Error())
	}
	if len(lacking) > 0 {
		slices.Sort(lacking)
		return lacking
	}
	name := fmt.Sprintf("%s%d-probe", prefix, os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return []string{"network namespaces cannot be made: " + strings.TrimSpace(string(out))}
	}
	defer exec.Command("ip", "netns", "delete", name).Run()
	nft := exec.Command("ip", "netns", "exec", name, "nft", "-f", "-")
	nft.Stdin = strings.NewReader(natRules)
	if out, err := nft.CombinedOutput(); err != nil {
		return []string{"the kernel does not translate addresses with nftables: " + strings.TrimSpace(string(out))}
	}
	return nil
}

func skipUnlessEnabled(t testing.TB) {
	if os.Getenv(enabled) == "" {
		t.Skip("make test-net runs this: it needs root, iproute2, nftables, conntrack and TUN devices")
	}
}

func program(name string) string { return filepath.Join(bin, name) }
