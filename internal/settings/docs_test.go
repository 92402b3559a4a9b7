package settings

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"apquic/internal/notices"
	"apquic/internal/settings/internal/jsonc"
	"apquic/internal/settings/internal/notice"
	"apquic/internal/settings/internal/ruleset"
	"apquic/rules"
)

const docsFile = "../../docs/config.md"

var update = flag.Bool("update", false, "write the tables of docs/config.md from the rows")

// TestDocTables: the tables of the plain forms are what the rows say. -update, or make generate, makes them
// so.
func TestDocTables(t *testing.T) {
	before := readDocs(t)
	after := before
	for name, all := range map[string]rows{"plainServer": new(Server).rows(), "plainNode": new(Node).rows()} {
		marker := "<!-- keys: " + name + " -->\n"
		table := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(marker) + `(\|.*\n)+`)
		if !table.MatchString(before) {
			t.Fatalf("there is no table behind %s", marker)
		}
		all.reset()
		after = table.ReplaceAllLiteralString(after, marker+all.markdown())
	}
	switch {
	case after == before:
	case *update:
		if err := os.WriteFile(docsFile, []byte(after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("docs/config.md has other tables than the rows of the settings: run make generate")
	}
}

// markdown is the table of the settings, which have their defaults.
func (all rows) markdown() string {
	var b strings.Builder
	b.WriteString("| Key | Flag | Type | Live | Default | Meaning |\n|---|---|---|---|---|---|\n")
	for _, r := range all {
		fmt.Fprintf(&b, "| `%s` | `--%s` | %s | %s | %s | %s |\n", r.key, r.flagName(), r.typeName(), map[bool]string{true: "yes"}[r.live], r.defaultText(), r.meaning())
	}
	return b.String()
}

// defaultText is the default as it would stand in a file, or what it is when nothing is given.
func (r row) defaultText() string {
	value := r.String()
	if value == "" {
		return r.unset
	}
	if kind := r.Type(); kind != "bool" && kind != "int" {
		value = fmt.Sprintf("%q", value)
	}
	return "`" + value + "`"
}

var argument = regexp.MustCompile("`[A-Z]+`")

// meaning is the help as a sentence, and what there is to say beyond it.
func (r row) meaning() string {
	help := argument.ReplaceAllStringFunc(r.help, func(name string) string { return strings.ToLower(strings.Trim(name, "`")) })
	sentence := strings.ToUpper(help[:1]) + help[1:]
	if r.docs != "" && strings.Contains(",:", r.docs[:1]) {
		return sentence + r.docs
	}
	return strings.TrimSpace(sentence + ". " + r.docs)
}

func readDocs(t testing.TB) string {
	t.Helper()
	docs, err := os.ReadFile(docsFile)
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
	if len(examples) != 7 || strings.Count(readDocs(t), "```json") != 7 {
		t.Fatalf("%d examples are marked, want all 7", len(examples))
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
	top := withDiscovery(jsonc.Form{}, jsonc.Field{}, &Carrier{})
	known := map[string]jsonc.Form{
		"plainServer":      s.rows().form(),
		"plainNode":        n.rows().form(),
		"plainService":     plainService(new(portService)),
		"plainOIDC":        new(OIDC).Keys(),
		"plainRule":        ruleset.Keys(new(rules.Rule)),
		"plainNotice":      notice.Keys(new(notices.Notice)),
		"carrierServer":    top,
		"carrierNode":      top,
		"carrierBootstrap": carrierBootstrap(&Bootstrap{}),
		"carrierItem":      carrierItem("class", jsonc.Field{}, &item{}),
		"carrierProxy":     carrierProxy(&s),
		"carrierClient":    (&carrierClient{}).form(),
	}
	maps.Copy(known["carrierItem"], carrierItem("name", jsonc.Field{}, &item{}))
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
