package settings

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/pflag"

	"apquic/internal/settings/internal/changes"
	"apquic/internal/settings/internal/jsonc"
)

// row is one setting, and everything said about it anywhere: its key in a file, its flag and environment
// variable, the help, the line that `check` prints and the row in docs/config.md come from here. A new
// setting is a field of Server or Node, a row, and the code that uses it; make generate updates
// docs/config.md.
type row struct {
	key     string // in a file; maxClients implies --max-clients and APQUIC_MAX_CLIENTS
	flag    string // the flag, if it has another name
	also    string // a second name of the flag
	live    bool   // it can change while the program runs
	setting        // its field, type, bounds and default
	want    string // what belongs there, with an example, for messages; empty: as its type says
	unset   string // what applies when nothing is given; empty: there is a default
	help    string // one line, with the flag's `ARGUMENT`; begins the text in docs/config.md
	docs    string // the rest of that text, in Markdown; a leading comma or colon continues the sentence
}

// setting is a field of the settings with everything that depends on its type. A kind makes it.
type setting interface {
	pflag.Value             // as a flag
	reset()                 // to the default
	read(jsonc.Value) error // from a file
	check() error           // that it is within its bounds
	describe() []line       // without secrets
	typeName() string       // with the bounds
	wanted() string         // what belongs there
	equals(setting) bool    // whether another one of the same row has the same value
	take(setting)           // that value
}

// line is one line of a description.
type line = changes.Line

// rows are the settings of a program, in the order in which they are shown.
type rows []row

func (all rows) reset() {
	for _, r := range all {
		r.reset()
	}
}

// form is how the settings are written in a file.
func (all rows) form() jsonc.Form {
	f := jsonc.Form{}
	for _, r := range all {
		f[r.key] = jsonc.Field{Want: cmp.Or(r.want, r.wanted()), Set: r.read}
	}
	return f
}

// faults checks each setting by itself.
func (all rows) faults() (found faults) {
	for _, r := range all {
		found.add(r.check(), r.key)
	}
	return found
}

func (all rows) addFlags(flags *pflag.FlagSet) {
	also := make(map[string]string) // the flags of second names
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(cmp.Or(also[name], name))
	})
	for _, r := range all {
		usage := r.help
		if r.unset != "" && r.String() == "" {
			usage += " (default: " + r.unset + ")"
		}
		value, name := pflag.Value(r), r.flagName()
		if r.also != "" {
			value, also[r.also] = &twice{Value: r, names: "--" + name + " and --" + r.also}, name
		}
		flag := flags.VarPF(value, name, "", usage)
		if r.Type() == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

// twice is the value of a flag with two names, which may be given by both only if they agree.
type twice struct {
	pflag.Value
	names, given string
}

// Set implements pflag.Value.
func (t *twice) Set(text string) error {
	if t.given != "" && t.given != text {
		return fmt.Errorf("%s are one setting, and %s is not %s: give it once", t.names, text, t.given)
	}
	t.given = text
	return t.Value.Set(text)
}

// flagName is the key in kebab case, or the name that the row gives.
func (r row) flagName() string {
	if r.flag != "" {
		return r.flag
	}
	var b strings.Builder
	for _, letter := range r.key {
		if unicode.IsUpper(letter) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(letter))
	}
	return b.String()
}

// lines describes all settings.
func (all rows) lines() (described []line) {
	for _, r := range all {
		for _, l := range r.describe() {
			described = append(described, line{Key: r.key + l.Key, Value: cmp.Or(l.Value, r.unset)})
		}
	}
	return described
}

// table formats lines in two columns and marks the defaults.
func table(lines, defaults []line) string {
	isDefault := map[line]bool{}
	for _, d := range defaults {
		isDefault[d] = true
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		mark := ""
		if isDefault[l] {
			mark = "  (default)"
		}
		fmt.Fprintf(w, "%s\t%s%s\n", l.Key, l.Value, mark)
	}
	w.Flush() // into memory, so it cannot fail
	return b.String()
}
