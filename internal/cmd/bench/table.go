package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// table renders the results as a Markdown table whose columns are aligned, for people to read as it is.
func (b *bench) table(found *results) string {
	head := []string{"", "better"}
	for _, c := range b.contenders {
		head = append(head, c.name)
	}
	lines := [][]string{head}
	for _, m := range b.measurements {
		for i, r := range m.rows {
			if !found.measured(r.key) {
				continue
			}
			title := r.title
			if i > 0 {
				title = "– " + title
			}
			if r.unit != yesNo {
				title += ", " + string(r.unit)
			}
			line := []string{title, arrow(r)}
			for _, c := range b.contenders {
				line = append(line, cellText(r, found.cell(r.key, c.name), found.cell(r.key, ownName)))
			}
			lines = append(lines, line)
		}
	}
	return align(lines)
}

func arrow(r row) string {
	switch r.better {
	case higher:
		return "↑"
	case exact:
		return "→ 0"
	}
	return "↓"
}

// cellText is the median, the range of all runs, and how it compares with our own.
func cellText(r row, c, own cell) string {
	if len(c.samples) == 0 {
		if len(c.failures) == 0 {
			return "–"
		}
		return "failed: " + c.failures[len(c.failures)-1]
	}
	s := spreadOf(c.samples)
	text := "**" + r.unit.format(s.median) + "**"
	if s.min != s.max && r.unit != yesNo {
		text += fmt.Sprintf(" (%s–%s)", r.unit.format(s.min), r.unit.format(s.max))
	}
	if len(own.samples) > 0 && r.unit != yesNo && r.better != exact {
		if base := spreadOf(own.samples).median; base > 0 && s.median > 0 {
			text += fmt.Sprintf(" ×%.2f", s.median/base)
		}
	}
	if n := len(c.failures); n > 0 {
		text += fmt.Sprintf(", %d of %d runs failed", n, n+len(c.samples))
	}
	return text
}

// align makes a Markdown table of lines; the first one is the head.
func align(lines [][]string) string {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, text := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	var out strings.Builder
	for n, line := range lines {
		for i, text := range line {
			out.WriteString("| " + text + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+1))
		}
		out.WriteString("|\n")
		if n == 0 {
			for _, width := range widths {
				out.WriteString("|" + strings.Repeat("-", width+2))
			}
			out.WriteString("|\n")
		}
	}
	return out.String()
}
