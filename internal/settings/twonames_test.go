package settings

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"apquic/internal/cli"
)

// TestTwoNames: --dashboard is --admin, also where one has to go before another; both together must agree.
func TestTwoNames(t *testing.T) {
	t.Parallel()
	program := &cli.Program[Node]{
		Name: "apquic-node", Help: "%s", Defaults: DefaultNode, Load: LoadNode, Validate: Node.Validate,
		Bind:     func(into *Node, settings, _ *pflag.FlagSet) { into.AddFlags(settings) },
		Commands: map[string]func(*cli.Call[Node]) error{"": func(c *cli.Call[Node]) error { fmt.Fprint(c.Stdout, c.Settings.AdminAddress); return nil }},
	}
	for _, test := range []struct {
		args, environ  string
		status         int
		stdout, stderr string
	}{
		{"--dashboard 127.0.0.1:1", "", 0, "127.0.0.1:1", ""},
		{"--dashboard=127.0.0.1:1", "APQUIC_ADMIN=127.0.0.1:2", 0, "127.0.0.1:1", ""},
		{"--dashboard 127.0.0.1:1 --admin 127.0.0.1:1", "", 0, "127.0.0.1:1", ""},
		{"", "APQUIC_ADMIN=127.0.0.1:2", 0, "127.0.0.1:2", ""},
		{"--admin 127.0.0.1:1 --dashboard 127.0.0.1:2", "", 2, "", "error: --admin: --admin and --dashboard are one setting, and 127.0.0.1:2 is not 127.0.0.1:1: give it once\n"},
		{"--help", "", 0, "--dashboard is the same", ""},
	} {
		var stdout, stderr strings.Builder
		status := program.Main(strings.Fields(test.args), strings.Fields(test.environ), &stdout, &stderr)
		if status != test.status || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%s %s: %d %q %q", test.environ, test.args, status, &stdout, &stderr)
		}
	}
}
