package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"apquic/internal/hint"
	"apquic/internal/suggest"
)

// parseFlags parses a command line. It reports every invalid value, not only the first.
func parseFlags(flags *pflag.FlagSet, args []string) error {
	var wrong []error
	err := flags.ParseAll(args, func(flag *pflag.Flag, value string) error {
		wrong = append(wrong, flagError(flags.Set(flag.Name, value), flags))
		return nil
	})
	return errors.Join(append(wrong, flagError(err, flags))...)
}

// flagError says in plain words what pflag, or the parser of a value, found wrong on the command line.
func flagError(err error, flags *pflag.FlagSet) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		flags.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
		if meant := suggest.Nearest(unknown.GetSpecifiedName(), names); meant != "" {
			return fmt.Errorf("%w, did you mean --%s?", err, meant)
		}
		return err
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("--%s: %w", invalid.GetFlag().Name, valueError(invalid.GetFlag(), invalid.GetValue(), invalid.Unwrap()))
	}
	return err
}

// valueError says what belongs to a flag whose value could not be parsed. It repeats the value only of a
// switch, a number or a duration: others may be secrets.
func valueError(flag *pflag.Flag, value string, err error) error {
	switch flag.Value.Type() {
	case "bool":
		return fmt.Errorf("%q is neither true nor false", value)
	case "duration":
		if value != "" && strings.Trim(value, "0123456789") == "" {
			return fmt.Errorf("%s has no unit, did you mean %ss or %sm?", value, value, value)
		}
		if strings.HasPrefix(err.Error(), "time:") {
			return fmt.Errorf("%q is not a duration, such as 90s, 15m or 1h30m", value)
		}
	case "int", "uint32", "uint16":
		return fmt.Errorf("%q is not a whole number that fits here", value)
	}
	return err
}

// misspelled returns a warning for each variable whose name is almost one that sets a flag.
func misspelled(environ []string, prefix string, flags *pflag.FlagSet) (warnings []string) {
	var known []string
	flags.VisitAll(func(flag *pflag.Flag) { known = append(known, variable(prefix, flag)) })
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, prefix+"_") {
			continue
		}
		if meant := suggest.Nearest(name, known); meant != "" && meant != name {
			warnings = append(warnings, fmt.Sprintf("the environment variable %s sets nothing, did you mean %s?", hint.Printable(name, 0), meant))
		}
	}
	return warnings
}
