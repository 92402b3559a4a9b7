package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"apquic/internal/hint"
)

// completeCommand is what the scripts call, with the words of the command line up to the cursor. It is no command for
// people.
const completeCommand = "__complete"

// scripts are what a shell runs to complete the words of a program, by shell. NAME and FUNCTION stand for the program.
var scripts = map[string]string{
	"bash": `# Completion of NAME for bash: source <(NAME completion bash)
FUNCTION() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$(printf %q "$line")")
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F FUNCTION NAME
`,
	"zsh": `#compdef NAME
# Completion of NAME for zsh: source <(NAME completion zsh), or in a folder of fpath as _NAME
FUNCTION() {
    local -a found
    found=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then compadd -- "${found[@]}"; else _files; fi
}
if [[ "${funcstack[1]}" = "_NAME" ]]; then FUNCTION "$@"; else compdef FUNCTION NAME; fi
`,
	"fish": `# Completion of NAME for fish: NAME completion fish | source
complete -c NAME -f -a '(NAME __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
complete -c NAME -s c -l config -r -F
complete -c NAME -l data-dir -r -F
`,
}

// Completion writes what a shell runs to complete the words of the program.
func (c *Call[S]) Completion() error {
	shells := slices.Sorted(maps.Keys(scripts))
	if len(c.Operands) != 1 || scripts[c.Operands[0]] == "" {
		return UsageError(c.program.Name, errors.New("completion: want one of "+strings.Join(shells, ", ")))
	}
	function := "_" + strings.ReplaceAll(c.program.Name, "-", "_")
	_, err := io.WriteString(c.Stdout, strings.NewReplacer("NAME", c.program.Name, "FUNCTION", function).Replace(scripts[c.Operands[0]]))
	return err
}

// complete writes what may stand for the last of the words, one a line.
func (p *Program[S]) complete(words, environ []string, out io.Writer) {
	words = slices.DeleteFunc(slices.Clone(words), func(word string) bool { return word == "=" }) // bash makes it a word
	if len(words) == 0 {
		return
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	_, flags := p.flags(&Call[S]{Settings: p.Defaults()})
	for _, word := range p.candidates(flags, before, last, environ) {
		if strings.HasPrefix(word, last) && word == hint.Printable(word, 0) { // nothing that a terminal would obey
			fmt.Fprintln(out, word)
		}
	}
}

func (p *Program[S]) candidates(flags *pflag.FlagSet, before []string, last string, environ []string) (words []string) {
	if len(before) > 0 {
		if flag := flagOf(flags, before[len(before)-1]); flag != nil && flag.NoOptDefVal == "" {
			return p.names(before[:len(before)-1], flag.Name, environ)
		}
	}
	if strings.HasPrefix(last, "-") {
		flags.VisitAll(func(f *pflag.Flag) { words = append(words, "--"+f.Name) })
		slices.Sort(words)
		return words
	}
	c, err := p.parse(before, environ)
	if err == nil && c.command == "" {
		return slices.Sorted(maps.Keys(p.Commands))[1:] // the first is the empty one
	}
	return p.names(before, "", environ)
}

// flagOf returns the flag that a word is; nil: none.
func flagOf(flags *pflag.FlagSet, word string) *pflag.Flag {
	if name, long := strings.CutPrefix(word, "--"); long {
		return flags.Lookup(name)
	}
	if name, short := strings.CutPrefix(word, "-"); short && len(name) == 1 {
		return flags.ShorthandLookup(name)
	}
	return nil
}

// names returns what the program knows for the value of a flag, or the next operand.
func (p *Program[S]) names(before []string, flag string, environ []string) []string {
	c, err := p.parse(before, environ)
	if err != nil || c.help || c.version {
		return nil
	}
	if flag == "" && len(c.Operands) >= p.Operands[c.command] {
		return nil
	}
	if flag == "" && c.command == "completion" {
		return slices.Sorted(maps.Keys(scripts))
	}
	if p.Complete == nil {
		return nil
	}
	return p.Complete(c, c.command, flag)
}
