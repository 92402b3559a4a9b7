package quicproxy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// whole is how much of the same a test does: all of it, or enough to see races, under the race detector, where everything takes
// ten times as long. make test runs the tests that ask for it a second time, without the race detector.
func whole[N int | time.Duration](all, underRace N) N {
	if raceDetector {
		return underRace
	}
	return all
}

// TestWholeIsRun: what the race detector leaves out is in the list of what make test runs without it.
func TestWholeIsRun(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
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
			if !strings.Contains(line, "whole(") || name == "TestWholeIsRun" {
				continue
			}
			if found++; !regexp.MustCompile(`[(|]` + name + `[|)]`).Match(makefile) {
				t.Errorf("%s of %s does less under the race detector, and make test does not run it without", name, file)
			}
		}
	}
	if found == 0 {
		t.Error("no test uses whole")
	}
}
