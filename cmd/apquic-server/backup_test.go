package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSavedFiles: each file that docs/config.md lists is saved, or one of those that are made again. Whoever adds a file
// decides.
func TestSavedFiles(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(document), "\nThe server's:\n")
	table, _, _ = strings.Cut(table, "\nOnly `authorized_nodes`")
	listed := []string{addressFile, peersFile, "control.sock"} // not saved
	for _, f := range saved("", "", "").Files {
		listed = append(listed, f.Name)
	}
	var documented []string
	for row := range strings.Lines(table) {
		names, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(names, -1) {
			documented = append(documented, match[1])
		}
	}
	slices.Sort(listed)
	slices.Sort(documented)
	if !slices.Equal(documented, listed) {
		t.Errorf("the document lists %q, and the backup knows %q", documented, listed)
	}
}
