package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// markers are the lines of the document between which a part belongs to this program; the rest belongs to
// people. A document may have several parts: a table has what was measured in one run, because nothing else can
// be compared.
func markers(part string) (begin, end string) {
	if part != "" {
		part = " " + part
	}
	return "<!-- measured" + part + ": begin -->", "<!-- measured" + part + ": end -->"
}

// report is the measured part of the document.
func (b *bench) report(found *results, command string, began, ended time.Time) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured on %s in %v with `%s`.\n\n", began.Format("2 January 2006"), ended.Sub(began).Round(time.Second), command)
	fmt.Fprintf(&out, "- Machine: %s\n- Go %s\n", machine(), strings.TrimPrefix(runtime.Version(), "go"))
	for _, c := range b.contenders {
		if c.version != "" {
			fmt.Fprintf(&out, "- %s %s\n", c.name, c.version)
		}
	}
	fmt.Fprintf(&out, "- %s\n", plural(b.runs, "run"))
	fmt.Fprintf(&out, "- TCP on loopback: %s", strings.TrimSpace(readText("/proc/sys/net/ipv4/tcp_congestion_control")))
	if slices.ContainsFunc(b.measurements, func(m measurement) bool { return m.link != nil }) {
		fmt.Fprintf(&out, "; through the link: %s, %s in each direction", wan(0).tcp, wan(0).rate)
		if missing := linkMissing(b.linkProgram); missing != "" {
			fmt.Fprintf(&out, "\n- Nothing was measured through the link: %s", missing)
		}
	}
	out.WriteString("\n")
	out.WriteString("\n" + b.table(found))
	return out.String()
}

// updateDocument replaces a measured part of the file.
func updateDocument(path, part, report string) error {
	text, err := updated(path, part, report)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// updated is the text of the file with another measured part.
func updated(path, part, report string) (string, error) {
	old, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the document of the benchmarks: %w", err)
	}
	text, err := replaceMeasured(string(old), part, report)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

func replaceMeasured(document, part, report string) (string, error) {
	begin, end := markers(part)
	head, rest, found := strings.Cut(document, begin+"\n")
	_, tail, found2 := strings.Cut(rest, end)
	if !found || !found2 {
		return "", fmt.Errorf("there are no lines %s and %s with the measured part in between", begin, end)
	}
	return head + begin + "\n\n" + strings.TrimSpace(report) + "\n\n" + end + tail, nil
}
