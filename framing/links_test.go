package framing

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestLinks: what the documents link to is there, and a link that is a number leads to the section of that
// number.
func TestLinks(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/decisions/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	known := make(map[string]map[string]string) // the headings of files
	link := regexp.MustCompile(`\[([^\]\n]*(?:\n[^\]\n]*)?)\]\(([^)\s]+)\)`)
	for _, file := range files {
		for _, m := range link.FindAllStringSubmatch(readDocument(t, file), -1) {
			text, target := m[1], m[2]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			there := file
			if path != "" {
				there = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(there); err != nil {
				t.Errorf("%s links to %s, which is not there", file, target)
				continue
			}
			if anchor == "" {
				continue
			}
			if known[there] == nil {
				known[there] = headings(t, there)
			}
			heading, ok := known[there][anchor]
			if !ok {
				t.Errorf("%s links to %s, which has no such heading", file, target)
			}
			if number := regexp.MustCompile(`^[\d.]+$`); number.MatchString(text) && !strings.HasPrefix(heading, text+" ") {
				t.Errorf("%s: the link [%s] leads to %q", file, text, heading)
			}
		}
	}
}

// headings are those of a document by their anchors.
func headings(t *testing.T, file string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	code := regexp.MustCompile("(?ms)^```.*?^```")
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(code.ReplaceAllString(readDocument(t, file), ""), -1) {
		anchor := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all[strings.ReplaceAll(anchor, " ", "-")] = m[1]
	}
	return all
}

// TestContents: the specification begins with a list of its sections, and they are numbered in order.
func TestContents(t *testing.T) {
	t.Parallel()
	specification := readSpecification(t)
	listed := regexp.MustCompile(`(?m)^(\d+)\. \[([^\]]+)\]\(#`).FindAllStringSubmatch(specification, -1)
	sections := regexp.MustCompile(`(?m)^## (\d+) (.*)$`).FindAllStringSubmatch(specification, -1)
	for i, m := range sections {
		if m[1] != strconv.Itoa(i+1) || i >= len(listed) || listed[i][1] != m[1] || listed[i][2] != m[2] {
			t.Errorf("section %q is number %d, and not so in the contents", m[0], i+1)
		}
	}
	var major, minor int
	for _, m := range regexp.MustCompile(`(?m)^###? (\d+)(?:\.(\d+))? `).FindAllStringSubmatch(specification, -1) {
		section, _ := strconv.Atoi(m[1])
		below, _ := strconv.Atoi(m[2])
		if m[2] == "" {
			major, minor = section, 0
		} else if minor++; section != major || below != minor {
			t.Errorf("section %d.%d stands where %d.%d belongs", section, below, major, minor)
		}
	}
}
