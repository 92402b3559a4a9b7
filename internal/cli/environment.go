package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// ApplyEnvironment sets the flags that are not on the command line from the environment (as os.Environ
// returns it), --data-dir from PREFIX_DATA_DIR, and reports all invalid values. An empty variable counts as
// unset. The text that pflag wraps around the error of a flag's Set is left out: it repeats the value, which
// may be a secret.
func ApplyEnvironment(fs *pflag.FlagSet, prefix string, environ []string) error {
	var wrong []error
	values := make(map[string]string)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	fs.VisitAll(func(flag *pflag.Flag) {
		name := variable(prefix, flag)
		value := values[name]
		if flag.Changed || value == "" {
			return
		}
		err := fs.Set(flag.Name, value)
		if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			err = valueError(flag, value, invalid.Unwrap())
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("environment variable %s, for --%s: %w", name, flag.Name, err))
		}
	})
	return errors.Join(wrong...)
}

// variable is the environment variable that sets a flag.
func variable(prefix string, flag *pflag.Flag) string {
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}
