package cli

import (
	"strings"
	"testing"
)

// TestMan: the manual page has the help, and no line of that is an instruction.
func TestMan(t *testing.T) {
	t.Parallel()
	p := painter()
	p.Help = "painter paints.\n\nUsage:\n  painter [flags]\n.so /etc/passwd\n'x'\n\nFlags:\n%s\nExit status: 0 success\\n"
	var page strings.Builder
	if status := p.Main([]string{manCommand}, nil, &page, &page); status != ExitOK {
		t.Errorf("exit status %d", status)
	}
	for _, part := range []string{
		".TH PAINTER 1 ", "\n.SH USAGE\n.nf\n  painter [flags]\n\\&.so /etc/passwd\n\\(aqx\\(aq\n", "\n.TP\n.B \\-\\-paper\\-size string\nthe size\n",
		"\n.B \\-h, \\-\\-help\n", "\nExit status: 0 success\\en\n",
	} {
		if !strings.Contains(page.String(), part) {
			t.Errorf("no %q in\n%s", part, &page)
		}
	}
}
