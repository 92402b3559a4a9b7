package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

type settings struct{ Color, Size string }

// painter is a program with two settings, a flag that is not a setting, and a file format of its own: "color
// size".
func painter() *Program[settings] {
	var loud bool
	return &Program[settings]{
		Name: "painter", Help: "Flags:\n%s",
		Defaults: func() settings { return settings{Color: "white", Size: "1"} },
		Load: func(path string, into *settings) error {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			_, err = fmt.Sscan(string(text), &into.Color, &into.Size)
			return err
		},
		Validate: func(s settings) error {
			if s.Size == "0" {
				return errors.New("no size")
			}
			return nil
		},
		Bind: func(s *settings, environment, others *pflag.FlagSet) {
			environment.StringVar(&s.Color, "color", s.Color, "the color")
			environment.StringVar(&s.Size, "paper-size", s.Size, "the size")
			environment.DurationVar(new(time.Duration), "dry", time.Minute, "how long it dries")
			environment.IntVar(new(int), "coats", 1, "how many there are")
			others.BoolVar(&loud, "loud", false, "say it loudly")
		},
		Commands: map[string]func(*Call[settings]) error{
			"": func(c *Call[settings]) error {
				if err := c.Validate(); err != nil {
					return err
				}
				fmt.Fprint(c.Stdout, c.Settings, loud)
				return nil
			},
			"clean": func(c *Call[settings]) error { return errors.New("it stays dirty") },
			"hang":  func(c *Call[settings]) error { fmt.Fprintf(c.Stdout, "%q", c.Operands); return nil },
		},
		Operands: map[string]int{"hang": 2},
	}
}

// environ is variables as os.Environ returns them.
func environ(variables map[string]string) (all []string) {
	for name, value := range variables {
		all = append(all, name+"="+value)
	}
	return all
}

// TestProgram: a flag overrides the environment, which overrides the file, which overrides the defaults.
func TestProgram(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, []byte("red 2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args        string
		environment map[string]string
		status      int
		stdout      string
		stderr      string // is in it
	}{
		{"", nil, ExitOK, "{white 1} false", ""},
		{"--loud", nil, ExitOK, "{white 1} true", ""},
		{"-c " + file, nil, ExitOK, "{red 2} false", ""},
		{"", map[string]string{"APQUIC_CONFIG": file}, ExitOK, "{red 2} false", ""},
		{"-c " + file, map[string]string{"APQUIC_COLOR": "green"}, ExitOK, "{green 2} false", ""},
		{"-c " + file + " --color blue", map[string]string{"APQUIC_COLOR": "green", "APQUIC_PAPER_SIZE": "3"}, ExitOK, "{blue 3} false", ""},
		{"", map[string]string{"APQUIC_LOUD": "true"}, ExitOK, "{white 1} false", ""},
		{"--help", nil, ExitOK, "Flags:", ""},
		{"--version", nil, ExitOK, "painter ", ""},
		{"help", nil, ExitOK, "Flags:", ""},
		{"version", nil, ExitOK, "painter ", ""},
		{"version --loud", nil, ExitOK, "painter ", ""},
		{"help me", nil, ExitUsage, "", `"help me" is not a command`},
		{"--colour red", nil, ExitUsage, "", "error: unknown flag: --colour, did you mean --color?\n"},
		{"--zzz", nil, ExitUsage, "", "error: unknown flag: --zzz\n"},
		{"claen", nil, ExitUsage, "", `"claen" is not a command, did you mean clean?`},
		{"--loud=yes", nil, ExitUsage, "", `error: --loud: "yes" is neither true nor false`},
		{"--dry 180", nil, ExitUsage, "", "error: --dry: 180 has no unit, did you mean 180s or 180m?"},
		{"--dry soon", nil, ExitUsage, "", `error: --dry: "soon" is not a duration, such as 90s, 15m or 1h30m`},
		{"--coats many", nil, ExitUsage, "", `error: --coats: "many" is not a whole number`},
		{"--dry soon --coats many --zzz", nil, ExitUsage, "", "error: --dry: \"soon\" is not a duration, such as 90s, 15m or 1h30m\n" +
			"error: --coats: \"many\" is not a whole number that fits here\nerror: unknown flag: --zzz\n"},
		{"", map[string]string{"APQUIC_DRY": "5"}, ExitConfig, "", "APQUIC_DRY, for --dry: 5 has no unit"},
		{"", map[string]string{"APQUIC_COLOUR": "red", "APQUIC_OTHER": "x", "XAPQUIC_COLOR": ""}, ExitOK, "{white 1} false",
			"warning: the environment variable APQUIC_COLOUR sets nothing, did you mean APQUIC_COLOR?\n"},
		{"clean", nil, ExitFailed, "", "error: it stays dirty"},
		{"dance", nil, ExitUsage, "", `"dance" is not a command; the commands are clean, hang`},
		{"clean twice", nil, ExitUsage, "", "not a command"},
		{"hang", nil, ExitOK, "[]", ""},
		{"hang --color red here now", nil, ExitOK, `["here" "now"]`, ""},
		{"hang 1 2 3", nil, ExitUsage, "", "3 words follow the command hang, which takes at most 2"},
		{"--color", nil, ExitUsage, "", "painter --help"},
		{"--paper-size 0", nil, ExitUsage, "", "no size"},
		{"-c " + file + " --paper-size 0", nil, ExitConfig, "", "no size"},
		{"-c nowhere", nil, ExitConfig, "", "nowhere"},
	} {
		var stdout, stderr strings.Builder
		status := painter().Main(strings.Fields(test.args), environ(test.environment), &stdout, &stderr)
		if status != test.status || !strings.HasPrefix(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%q with %v: status %d, stdout %q, stderr %q", test.args, test.environment, status, &stdout, &stderr)
		}
	}
}
