package apquic_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatModel: each test that docs/threat-model.md names exists.
func TestThreatModel(t *testing.T) {
	document, err := os.ReadFile("docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := existingTests(t)
	named := regexp.MustCompile("`(Test\\w+)`|e2e `([a-z-]+)`").FindAllSubmatch(document, -1)
	if len(named) < 40 {
		t.Errorf("the document names %d tests", len(named))
	}
	for _, match := range named {
		if name := string(match[1]) + string(match[2]); !exists[name] {
			t.Errorf("docs/threat-model.md names %s, which does not exist", name)
		}
	}
}

// existingTests returns the names of all tests of this module, and of all scripts that tests run.
func existingTests(t *testing.T) map[string]bool {
	t.Helper()
	exists := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		name, isScript := strings.CutSuffix(entry.Name(), ".txtar")
		switch {
		case err != nil:
			return err
		case isScript:
			exists[name] = true
		case strings.HasSuffix(path, "_test.go"):
			source, err := os.ReadFile(path)
			for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
				exists[string(match[1])] = true
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return exists
}
