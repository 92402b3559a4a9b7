package config

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readDocs(t testing.TB) string {
	t.Helper()
	docs, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(docs), "\r\n", "\n")
}

type docExample struct{ program, text string }

func docExamples(t testing.TB) (examples []docExample) {
	t.Helper()
	for _, match := range regexp.MustCompile("(?ms)^```jsonc (server|node)\n(.*?)^```$").FindAllStringSubmatch(readDocs(t), -1) {
		examples = append(examples, docExample{match[1], match[2]})
	}
	return examples
}

func TestDocExamples(t *testing.T) {
	t.Parallel()
	examples := docExamples(t)
	if len(examples) != 4 || strings.Count(readDocs(t), "```json") != 4 {
		t.Fatalf("%d examples are marked, want all 4", len(examples))
	}
	for _, example := range examples {
		var err error
		if s, n := DefaultServer(), DefaultNode(); example.program == "server" {
			if err = ParseServer("doc", []byte(example.text), &s); err == nil {
				err = s.Validate()
			}
		} else if err = ParseNode("doc", []byte(example.text), &n); err == nil {
			err = n.Validate()
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, example.text)
		}
	}
}

// docKeys are the rows of the tables by the forms that they are marked with: key to default.
func docKeys(t *testing.T) map[string]map[string]string {
	tables := map[string]map[string]string{}
	for _, match := range regexp.MustCompile(`(?m)^<!-- keys: (.*) -->\n((?:\|.*\n)+)`).FindAllStringSubmatch(readDocs(t), -1) {
		rows := map[string]string{}
		for line := range strings.Lines(match[2]) {
			cells := strings.Split(line, "|")
			key := strings.TrimSpace(cells[1])
			if !strings.HasPrefix(key, "`") {
				continue // the head
			}
			if _, twice := rows[key]; twice {
				t.Errorf("%s is there twice", key)
			}
			rows[strings.Trim(key, "`")] = strings.TrimSpace(cells[len(cells)-3])
		}
		for name := range strings.FieldsSeq(match[1]) {
			tables[name] = rows
		}
	}
	return tables
}

func TestDocKeys(t *testing.T) {
	t.Parallel()
	s, n := DefaultServer(), DefaultNode()
	known := map[string]form{
		"plainServer":      plainServer(&s),
		"plainNode":        plainNode(&n),
		"plainService":     plainService(&Service{}),
		"carrierServer":    without(carrierServer(&s), serverSettings(&s)),
		"carrierNode":      without(carrierNode(&n), nodeSettings(&n)),
		"carrierBootstrap": carrierBootstrap(&Bootstrap{}),
		"carrierItem":      carrierItem("class", field{}, &item{}),
		"carrierProxy":     carrierProxy(&s),
		"carrierClient":    (&carrierClient{}).form(),
	}
	maps.Copy(known["carrierItem"], carrierItem("name", field{}, &item{}))
	documented := docKeys(t)
	for name, f := range known {
		got, want := slices.Sorted(maps.Keys(documented[name])), slices.Sorted(maps.Keys(f))
		if !slices.Equal(got, want) {
			t.Errorf("%s: documented are %v, decoded are %v", name, got, want)
		}
	}
	if len(documented) != len(known) {
		t.Errorf("there are tables for %v", slices.Sorted(maps.Keys(documented)))
	}
}

func without(all, some form) form {
	return form(maps.Collect(func(yield func(string, field) bool) {
		for key, field := range all {
			if _, ok := some[key]; !ok && !yield(key, field) {
				return
			}
		}
	}))
}

// The defaults that the tables of the plain forms show are the defaults.
func TestDocDefaults(t *testing.T) {
	t.Parallel()
	documented := docKeys(t)
	file := func(name string) []byte {
		var b strings.Builder
		for key, value := range documented[name] {
			if json, ok := strings.CutPrefix(value, "`"); ok {
				fmt.Fprintf(&b, "%q: %s,\n", key, strings.TrimSuffix(json, "`"))
			}
		}
		return []byte("{" + b.String() + "}")
	}
	s := Server{DataDir: DefaultServer().DataDir}
	if err := ParseServer("docs", file("plainServer"), &s); err != nil || s.Describe() != DefaultServer().Describe() {
		t.Errorf("server, error %v:\n%s", err, s.Describe())
	}
	n := Node{DataDir: DefaultNode().DataDir}
	if err := ParseNode("docs", file("plainNode"), &n); err != nil || n.Describe() != DefaultNode().Describe() {
		t.Errorf("node, error %v:\n%s", err, n.Describe())
	}
}
