package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// manCommand writes the manual page. It is for packagers: make man.
const manCommand = "__man"

// man writes the manual page, which says what the help says.
func (p *Program[S]) man(out io.Writer) error {
	before, after, _ := strings.Cut(p.Help, "%s")
	before = strings.TrimSuffix(strings.TrimRight(before, "\n"), "Flags:")
	var page strings.Builder
	fmt.Fprintf(&page, ".TH %s 1 \"\" %s\n", strings.ToUpper(roff(p.Name)), roff(Version()))
	fmt.Fprintf(&page, ".SH NAME\n%s \\- reverse tunnel over QUIC\n.SH DESCRIPTION\n", roff(p.Name))
	writeSections(&page, before)
	page.WriteString(".SH FLAGS\n")
	_, flags := p.flags(&Call[S]{Settings: p.Defaults()})
	flags.VisitAll(func(f *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(&page, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(name+" "+value)), roff(usage))
	})
	writeSections(&page, after)
	_, err := io.WriteString(out, page.String())
	return err
}

// writeSections writes text as it is, with a heading for each line that ends with a colon and begins the text after an
// empty line.
func writeSections(page *strings.Builder, text string) {
	page.WriteString(".nf\n")
	empty := true
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		line = strings.TrimRight(line, "\n")
		heading, is := strings.CutSuffix(line, ":")
		switch {
		case empty && is && !strings.HasPrefix(line, " "):
			fmt.Fprintf(page, ".fi\n.SH %s\n.nf\n", strings.ToUpper(roff(heading)))
		case line == "":
			page.WriteString(".sp\n")
		default:
			page.WriteString(roff(line) + "\n")
		}
		empty = line == ""
	}
	page.WriteString(".fi\n")
}

// roff is a text in which nothing is an instruction.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "~", `\(ti`, "^", `\(ha`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
