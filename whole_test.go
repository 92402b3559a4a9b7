package apquic_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWholeIsRun: tests reduced under the race detector are in the list that make test runs without it.
func TestWholeIsRun(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, pattern := range []string{"quicproxy/*_test.go", "quicproxy/internal/*/*_test.go"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, matches...)
	}
	test, found := regexp.MustCompile(`^func (Test\w+)\(`), 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := ""
		for line := range strings.Lines(string(source)) {
			if match := test.FindStringSubmatch(line); match != nil {
				name = match[1]
			}
			if !strings.Contains(line, "testrace.Whole(") {
				continue
			}
			if found++; !regexp.MustCompile(`[(|]` + name + `[|)]`).Match(makefile) {
				t.Errorf("%s of %s does less under the race detector, and make test does not run it without", name, file)
			}
		}
	}
	if found == 0 {
		t.Error("no test uses Whole")
	}
}
