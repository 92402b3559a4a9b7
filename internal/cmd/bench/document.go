package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// The part between these lines of the document belongs to this program, the rest to people.
const (
	measuredBegin = "<!-- measured: begin -->"
	measuredEnd   = "<!-- measured: end -->"
)

// report is the measured part of the document.
func (b *bench) report(found *results, command string, began, ended time.Time) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured on %s in %v with `%s`.\n\n", began.Format("2 January 2006"), ended.Sub(began).Round(time.Minute), command)
	fmt.Fprintf(&out, "- Machine: %s\n- Go %s\n", machine(), strings.TrimPrefix(runtime.Version(), "go"))
	for _, c := range b.contenders {
		if c.version != "" {
			fmt.Fprintf(&out, "- %s %s\n", c.name, c.version)
		}
	}
	fmt.Fprintf(&out, "- %s\n", plural(b.runs, "run"))
	fmt.Fprintf(&out, "- TCP on loopback: %s; through the link: %s, %s in each direction\n",
		strings.TrimSpace(readText("/proc/sys/net/ipv4/tcp_congestion_control")), wan(0).tcp, wan(0).rate)
	if missing := linkMissing(b.linkProgram); missing != "" {
		fmt.Fprintf(&out, "- Nothing was measured through the link: %s\n", missing)
	}
	out.WriteString("\n" + b.table(found))
	return out.String()
}

// updateDocument replaces the measured part of the file.
func updateDocument(path, report string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("the document of the benchmarks: %w", err)
	}
	text, err := replaceMeasured(string(old), report)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func replaceMeasured(document, report string) (string, error) {
	head, rest, found := strings.Cut(document, measuredBegin+"\n")
	_, tail, found2 := strings.Cut(rest, measuredEnd)
	if !found || !found2 {
		return "", fmt.Errorf("there are no lines %s and %s with the measured part in between", measuredBegin, measuredEnd)
	}
	return head + measuredBegin + "\n\n" + strings.TrimSpace(report) + "\n\n" + measuredEnd + tail, nil
}
