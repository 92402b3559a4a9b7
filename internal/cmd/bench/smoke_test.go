package main

import (
	"context"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestSmoke measures apquic on loopback as make bench does, but for fractions of a second.
func TestSmoke(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "../../../cmd/...", ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const only = "^(bulk-up-1|bulk-down-1-limited|limit-up-8|echo-1|half-close|stalled-20|udp-1200|udp-paced-64|http-name|http-proxy-once)$"
	out, err := exec.CommandContext(ctx, bin+"/bench", "--bin", bin, "--quick", "--runs", "1", "--who", "^apquic$", "--only", only).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"bulk up, 1 connection, MB/s", "beside 20 stalled readers", "**yes**", "UDP, 1200 bytes", "below a limit", "limit of 20 MB/s", "the slowest connection", "that of the node", "HTTP through a name", "with PROXY protocol"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("there is no %q in the table", want)
		}
	}
	if strings.Contains(string(out), "failed") || t.Failed() {
		t.Errorf("%s", out)
	}
	nodes, err := exec.CommandContext(ctx, bin+"/bench", "nodes", "--server", bin+"/apquic-server", "--count", "20",
		"--first-port", "29100", "--keepalive", "1s", "--idle", "300ms").CombinedOutput()
	if err != nil || !strings.Contains(string(nodes), "20 of 20") {
		t.Errorf("%v\n%s", err, nodes)
	}
}
