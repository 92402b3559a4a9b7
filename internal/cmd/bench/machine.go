package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine describes the machine in a line.
func machine() string {
	return fmt.Sprintf("%s, %s, %.0f GiB RAM, Linux %s %s", cpuModel(readText("/proc/cpuinfo")), plural(runtime.NumCPU(), "core"),
		memoryGiB(readText("/proc/meminfo")), strings.TrimSpace(readText("/proc/sys/kernel/osrelease")), runtime.GOARCH)
}

// readText is empty for a file that cannot be read: a description may have gaps.
func readText(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// cpuModel finds the name of the processor in /proc/cpuinfo, whose key differs among architectures.
func cpuModel(info string) string {
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "model name", "Model", "uarch":
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func memoryGiB(info string) float64 {
	for line := range strings.Lines(info) {
		var kilobytes float64
		if n, _ := fmt.Sscanf(line, "MemTotal: %f kB", &kilobytes); n == 1 {
			return kilobytes / (1 << 20)
		}
	}
	return 0
}
