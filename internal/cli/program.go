package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"apquic/internal/suggest"
)

// environmentPrefix begins the names of variables that set a flag.
const environmentPrefix = "APQUIC"

// Program is a command with subcommands. Its settings, of type S, come from flags, the environment
// (APQUIC_...), a file (-c) and defaults, in this order of precedence.
type Program[S any] struct {
	Name     string
	Help     string // with %s in place of the list of flags
	Defaults func() S
	Load     func(path string, into *S) error
	Validate func(S) error
	// Bind declares the flags: settings can also be set in the environment, others cannot. It is called again
	// once into has the settings of a file.
	Bind func(into *S, settings, others *pflag.FlagSet)
	// Commands by name. The one without a name is what the program does without a command.
	Commands map[string]func(*Call[S]) error
	// Operands is the most words that may follow each command; missing: none.
	Operands map[string]int
	// Complete returns what the next word after a command may be: the value of a flag, or without one an operand, of
	// which the Call has those before. It must be fast, and says nothing of errors. Nil: nothing is known.
	Complete func(c *Call[S], command, flag string) []string
}

// Call is a parsed command line.
type Call[S any] struct {
	Settings       S
	Operands       []string  // the words after the command
	Stdout, Stderr io.Writer // for results, and for everything else

	program       *Program[S]
	args, environ []string
	command       string
	path          string // of the file; empty: none
	help, version bool
	warnings      []string
}

// Main runs a command line and returns the exit status.
func (p *Program[S]) Main(args, environ []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == completeCommand {
		p.complete(args[1:], environ, stdout)
		return ExitOK
	}
	if len(args) == 1 && args[0] == manCommand {
		return ExitStatus(p.man(stdout))
	}
	c, err := p.parse(args, environ)
	switch {
	case err != nil:
	case c.help:
		_, all := p.flags(&Call[S]{Settings: p.Defaults()})
		fmt.Fprintf(stdout, p.Help, all.FlagUsages())
	case c.version:
		fmt.Fprintln(stdout, p.Name, Version())
	default:
		c.Stdout, c.Stderr = stdout, stderr
		for _, warning := range c.warnings {
			fmt.Fprintln(stderr, "warning:", warning)
		}
		err = p.Commands[c.command](c)
	}
	if !errors.Is(err, errEnded) {
		Report(stderr, err)
	}
	return ExitStatus(err)
}

// parse reads the command line once to find the file, and again on top of the file.
func (p *Program[S]) parse(args, environ []string) (*Call[S], error) {
	c, err := p.parseOver(p.Defaults(), args, environ)
	if err != nil || c.help || c.version || c.path == "" {
		return c, err
	}
	settings := p.Defaults()
	if err := p.Load(c.path, &settings); err != nil {
		return nil, ConfigError(err)
	}
	return p.parseOver(settings, args, environ)
}

func (p *Program[S]) parseOver(settings S, args, environ []string) (*Call[S], error) {
	c := &Call[S]{Settings: settings, program: p, args: args, environ: environ}
	environment, all := p.flags(c)
	if err := parseFlags(all, args); err != nil {
		return nil, UsageError(p.Name, err)
	}
	if err := c.setCommand(all.Args()); err != nil {
		return nil, UsageError(p.Name, err)
	}
	if c.help || c.version {
		return c, nil
	}
	if err := ApplyEnvironment(environment, environmentPrefix, environ); err != nil {
		return nil, ConfigError(err)
	}
	c.warnings = misspelled(environ, environmentPrefix, environment)
	return c, nil
}

// flags returns those that the environment can set, and all of them.
func (p *Program[S]) flags(c *Call[S]) (environment, all *pflag.FlagSet) {
	newSet := func() *pflag.FlagSet {
		set := pflag.NewFlagSet(p.Name, pflag.ContinueOnError)
		set.SortFlags = false
		return set
	}
	environment, all = newSet(), newSet()
	others := newSet()
	environment.StringVarP(&c.path, "config", "c", "", "read the settings from `FILE`")
	p.Bind(&c.Settings, environment, others)
	all.SetNormalizeFunc(environment.GetNormalizeFunc()) // flags with two names
	all.AddFlagSet(environment)
	all.AddFlagSet(others)
	all.BoolVar(&c.version, "version", false, "print the version")
	all.BoolVarP(&c.help, "help", "h", false, "print this help")
	return environment, all
}

func (c *Call[S]) setCommand(words []string) error {
	switch {
	case c.help || c.version:
		return nil
	case len(words) == 1 && words[0] == "help":
		c.help = true
		return nil
	case len(words) == 1 && words[0] == "version":
		c.version = true
		return nil
	case len(words) > 0:
		c.command, c.Operands = words[0], words[1:]
	}
	_, known := c.program.Commands[c.command]
	switch most := c.program.Operands[c.command]; {
	case known && len(c.Operands) <= most:
		return nil
	case known && most > 0:
		return fmt.Errorf("%d words follow the command %s, which takes at most %d", len(c.Operands), c.command, most)
	}
	names := slices.Sorted(maps.Keys(c.program.Commands))[1:] // the first is the empty one
	if meant := suggest.Nearest(c.command, names); meant != "" && meant != c.command {
		return fmt.Errorf("%q is not a command, did you mean %s?", c.command, meant)
	}
	return fmt.Errorf("%q is not a command; the commands are %s", strings.Join(words, " "), strings.Join(names, ", "))
}

// Path is the file with the settings; empty: there is none.
func (c *Call[S]) Path() string { return c.path }

// Again is the same call with the file as it is now.
func (c *Call[S]) Again() (*Call[S], error) {
	again, err := c.program.parse(c.args, c.environ)
	if err != nil {
		return nil, err
	}
	again.Stdout, again.Stderr = c.Stdout, c.Stderr
	return again, nil
}

// Usage is how the help writes the command with its operands.
func (c *Call[S]) Usage() string {
	command := c.program.Name + " " + c.command
	_, after, _ := strings.Cut(c.program.Help, "\n  "+command)
	line, _, _ := strings.Cut(after, "\n")
	operands, _, _ := strings.Cut(line, "  ")
	return command + operands
}

// Validate checks the settings as a whole.
func (c *Call[S]) Validate() error {
	err := c.program.Validate(c.Settings)
	switch {
	case err == nil:
		return nil
	case c.path == "":
		return UsageError(c.program.Name, err)
	}
	return ConfigError(err)
}
