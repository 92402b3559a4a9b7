package apquic_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDecisions: the files in docs/decisions are numbered without gaps, have the same parts, are in the list
// with their titles, and name only existing tests.
func TestDecisions(t *testing.T) {
	files, err := filepath.Glob("docs/decisions/[0-9]*.md")
	if err != nil {
		t.Fatal(err)
	}
	list := read(t, "docs/decisions/README.md")
	exists := existingTests(t)
	title := regexp.MustCompile(`^# (\d+)\. (.+)\n`)
	for i, file := range files {
		text := read(t, file)
		name := filepath.Base(file)
		found := title.FindStringSubmatch(text)
		if found == nil || found[1] != fmt.Sprint(i+1) || !strings.HasPrefix(name, fmt.Sprintf("%04d-", i+1)) {
			t.Errorf("%s is file number %d, and does not begin with that number and a title", name, i+1)
			continue
		}
		if entry := fmt.Sprintf("\n%s. [%s](%s)\n", found[1], found[2], name); !strings.Contains(list, entry) {
			t.Errorf("the list lacks %q", entry)
		}
		rest := text
		for _, part := range []string{"Context", "Decision", "Consequences"} {
			var ok bool
			if _, rest, ok = strings.Cut(rest, "\n## "+part+"\n\n"); !ok {
				t.Errorf("%s lacks %s in its place", name, part)
			}
		}
		for _, missing := range missingFiles(t, text) {
			t.Errorf("%s names %s, which does not exist", name, missing)
		}
		for _, match := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(text, -1) {
			if !exists[match[1]] {
				t.Errorf("%s names %s, which does not exist", name, match[1])
			}
		}
	}
	if n := strings.Count(list, "](0"); n != len(files) || n < 50 {
		t.Errorf("%d decisions, %d in the list", len(files), n)
	}
}

// TestArchitectureNamesFiles: a walk that names a file leads to one.
func TestArchitectureNamesFiles(t *testing.T) {
	for _, missing := range missingFiles(t, read(t, "docs/architecture.md")) {
		t.Errorf("docs/architecture.md names %s, which does not exist", missing)
	}
}

// missingFiles returns the Go files that a text names, by the end of their path, and that do not exist.
func missingFiles(t *testing.T, text string) (missing []string) {
	t.Helper()
	files := goFiles(t)
	for _, match := range regexp.MustCompile(`[a-zA-Z0-9][\w./-]*\.go\b`).FindAllString(text, -1) {
		if !slices.ContainsFunc(files, func(path string) bool { return strings.HasSuffix(path, "/"+match) || path == match }) {
			missing = append(missing, match)
		}
	}
	return missing
}

// goFiles returns the paths of all Go files of the module.
func goFiles(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".go") {
			paths = append(paths, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
