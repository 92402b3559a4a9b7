package framing

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// constantNames reads the names of the codes in a source file, without their prefix, by value.
func constantNames(t *testing.T, file, prefix string) map[uint64]string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[uint64]string)
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+) +\w+ = (\d+)$`).FindAllStringSubmatch(string(source), -1) {
		value, err := strconv.ParseUint(m[2], 10, 64)
		if err != nil || names[value] != "" {
			t.Fatalf("%s: %q (%v)", file, m[0], err)
		}
		names[value] = strings.TrimPrefix(m[1], prefix)
	}
	return names
}

func readSpecification(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is the text of one numbered section of the specification.
func section(t *testing.T, specification string, number int) string {
	t.Helper()
	_, rest, ok := strings.Cut(specification, fmt.Sprintf("\n## %d ", number))
	if !ok {
		t.Fatalf("docs/protocol.md has no section %d", number)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// TestTables: the tables of opcodes and error codes are those of the code, in both directions.
func TestTables(t *testing.T) {
	t.Parallel()
	specification := readSpecification(t)
	for _, table := range []struct {
		section      int
		file, prefix string
		text         func(uint64) string
		known        int
	}{
		{5, "opcode.go", "Op", func(n uint64) string { return Opcode(n).String() }, len(opcodeNames)},
		{7, "errorcode.go", "Error", func(n uint64) string { return ErrorCode(n).String() }, len(errorNames)},
	} {
		names := constantNames(t, table.file, table.prefix)
		if len(names) != table.known {
			t.Errorf("%s: %d constants, %d names", table.file, len(names), table.known)
		}
		rows := make(map[uint64]string)
		for _, m := range regexp.MustCompile("(?m)^\\| (\\d+) \\| `(\\w+)` \\|").FindAllStringSubmatch(section(t, specification, table.section), -1) {
			value, _ := strconv.ParseUint(m[1], 10, 64)
			rows[value] = m[2]
		}
		for value, name := range names {
			if rows[value] != name {
				t.Errorf("section %d has no row | %d | `%s` |", table.section, value, name)
			}
			if strings.HasSuffix(table.text(value), fmt.Sprint(value)) {
				t.Errorf("%s has no text", name)
			}
		}
		for value, name := range rows {
			if names[value] != name {
				t.Errorf("section %d has a row | %d | `%s` | that %s has not", table.section, value, name, table.file)
			}
		}
		if got := table.text(4711); !strings.Contains(got, "4711") {
			t.Errorf("an unknown value of %s is called %q", table.file, got)
		}
	}
}

// TestOpcodesAreNamedAfterMessages, so that readers of the specification find one from the other.
func TestOpcodesAreNamedAfterMessages(t *testing.T) {
	t.Parallel()
	for op, name := range opcodeNames {
		if got := string(newInner(op).ProtoReflect().Descriptor().Name()); got != name {
			t.Errorf("%v carries %s", op, got)
		}
	}
}

// TestFields: the specification defines every message with every field, as apquic.proto does.
func TestFields(t *testing.T) {
	t.Parallel()
	specification := readSpecification(t)
	messages := File_framing_apquic_proto.Messages()
	for i := range messages.Len() {
		message := messages.Get(i)
		_, rest, ok := strings.Cut(specification, fmt.Sprintf("\nmessage %s {", message.Name()))
		if !ok {
			t.Errorf("docs/protocol.md does not define %s", message.Name())
			continue
		}
		body, _, _ := strings.Cut(rest, "}")
		for j := range message.Fields().Len() {
			field := message.Fields().Get(j)
			kind := field.Kind().String()
			if field.Kind() == protoreflect.MessageKind {
				kind = string(field.Message().Name())
			}
			if line := fmt.Sprintf("%s %s = %d;", kind, field.Name(), field.Number()); !strings.Contains(body, line) {
				t.Errorf("docs/protocol.md: message %s has no line %q", message.Name(), line)
			}
		}
		if got := strings.Count(body, ";"); got != message.Fields().Len() {
			t.Errorf("docs/protocol.md: message %s has %d fields, want %d", message.Name(), got, message.Fields().Len())
		}
	}
}

// TestVectorFiles: section 12 lists the files, and no others.
func TestVectorFiles(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(vectorDir)
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([\\w-]+\\.txt)` \\|").FindAllStringSubmatch(section(t, readSpecification(t), 12), -1) {
		listed = append(listed, m[1])
	}
	there := make(map[string]bool)
	for _, file := range files {
		there[file.Name()] = true
	}
	for _, name := range listed {
		if !there[name] {
			t.Errorf("section 12 lists %s, which is not there", name)
		}
		delete(there, name)
	}
	for name := range there {
		t.Errorf("section 12 does not list %s", name)
	}
}
