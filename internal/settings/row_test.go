package settings

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"apquic/internal/cli"
	"apquic/internal/settings/internal/jsonc"
)

// kettle is a program with one setting.
type kettle struct{ MaxCups int }

// rows has all that a setting needs beside its field, and the code that uses it.
func (k *kettle) rows() rows {
	return rows{{
		key: "maxCups", setting: numberVar(&k.MaxCups, 4, 1, 12),
		help: "how many `CUPS` it fills", docs: "A cup has 0.2 l.",
	}}
}

func (k kettle) faults() faults { return k.rows().faults() }

func kettleProgram() *cli.Program[kettle] {
	defaults := func() (k kettle) { k.rows().reset(); return k }
	form := func(k *kettle) jsonc.Form { return k.rows().form() }
	return &cli.Program[kettle]{
		Name: "kettle", Help: "%s", Defaults: defaults,
		Load: func(path string, into *kettle) error {
			return load(path, into, func(name string, data []byte, into *kettle) error { return parse(name, data, into, form, form) })
		},
		Validate: func(k kettle) error { return k.faults().errors() },
		Bind:     func(into *kettle, settings, _ *pflag.FlagSet) { into.rows().addFlags(settings) },
		Commands: map[string]func(*cli.Call[kettle]) error{"": func(c *cli.Call[kettle]) error {
			if err := c.Validate(); err != nil {
				return err
			}
			standard := defaults()
			fmt.Fprint(c.Stdout, table(c.Settings.rows().lines(), standard.rows().lines()))
			return nil
		}},
	}
}

// TestOneRow adds a setting: its row is enough for its flag, variable and key, for what is said of mistakes
// in each of them, for the help, the description and the documentation.
func TestOneRow(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		args, environ, file string
		status              int
		stdout, stderr      string // are in it
	}{
		{"", "", "", 0, "maxCups  4  (default)\n", ""},
		{"--max-cups 5", "APQUIC_MAX_CUPS=6", `{"maxCups": 7}`, 0, "maxCups  5\n", ""},
		{"", "APQUIC_MAX_CUPS=6", `{"maxCups": 7}`, 0, "maxCups  6\n", ""},
		{"", "", `{"maxCups": 7}`, 0, "maxCups  7\n", ""},
		{"--help", "", "", 0, "      --max-cups CUPS   how many CUPS it fills (default 4)\n", ""},
		{"--max-cup 5", "", "", 2, "", "error: unknown flag: --max-cup, did you mean --max-cups?\n"},
		{"--max-cups many", "", "", 2, "", "error: --max-cups: \"many\" is not a whole number"},
		{"--max-cups 13", "", "", 2, "", "error: maxCups: 13 is not from 1 to 12\n"},
		{"", "APQUIC_MAX_CUPS=many", "", 3, "", "error: environment variable APQUIC_MAX_CUPS, for --max-cups: \"many\" is not"},
		{"", "APQUIC_MAX_CUP=5", "", 0, "maxCups  4", "warning: the environment variable APQUIC_MAX_CUP sets nothing, did you mean APQUIC_MAX_CUPS?\n"},
		{"", "", "{\n\"maxcups\": 5}", 3, "", "error: file:2: maxcups: unknown key, did you mean maxCups?\n"},
		{"", "", "{\n\"maxCups\": 0}", 3, "", "error: file:2: maxCups: 0 is not from 1 to 12; want a number from 1 to 12\n"},
		{"", "", `{"maxCups": "5l"}`, 3, "", "error: file:1: maxCups: 5l is not a whole number; want a number from 1 to 12\n"},
	} {
		args := strings.Fields(test.args)
		if test.file != "" {
			if err := os.WriteFile("file", []byte(test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "-c", "file")
		}
		var stdout, stderr strings.Builder
		status := kettleProgram().Main(args, []string{test.environ}, &stdout, &stderr)
		if status != test.status || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%q, %q, %q: status %d, stdout %q, stderr %q", test.args, test.environ, test.file, status, &stdout, &stderr)
		}
	}
	k := kettle{}
	k.rows().reset()
	want := "| `maxCups` | `--max-cups` | number, 1 to 12 |  | `4` | How many cups it fills. A cup has 0.2 l. |\n"
	if got := k.rows().markdown(); !strings.HasSuffix(got, "|\n"+want) {
		t.Errorf("documented as\n%s", got)
	}
}

// TestRowsAndFields: each field of the settings has one row.
func TestRowsAndFields(t *testing.T) {
	t.Parallel()
	check := func(settings reflect.Value, all rows) {
		rowsOf := map[uintptr]int{}
		for _, r := range all {
			rowsOf[reflect.ValueOf(r.setting).Elem().FieldByName("field").Pointer()]++
		}
		for i := range settings.NumField() {
			field := settings.Type().Field(i)
			if n := rowsOf[settings.Field(i).Addr().Pointer()]; n != 1 && !field.Anonymous {
				t.Errorf("%v.%s has %d rows", settings.Type(), field.Name, n)
			}
		}
	}
	s, n := DefaultServer(), DefaultNode()
	check(reflect.ValueOf(&s).Elem(), s.rows())
	check(reflect.ValueOf(&n).Elem(), n.rows())
}
