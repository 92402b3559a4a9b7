package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// ApplyEnvironment sets the flags that are not on the command line from the
// environment, --data-dir from PREFIX_DATA_DIR, and reports all values that are
// wrong. An empty variable counts as none. What pflag puts around the error of a
// flag's Set is left out: it repeats the value, which may be a secret.
func ApplyEnvironment(fs *pflag.FlagSet, prefix string, lookup func(string) (string, bool)) error {
	var wrong []error
	fs.VisitAll(func(flag *pflag.Flag) {
		name := prefix + "_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value, ok := lookup(name)
		if flag.Changed || !ok || value == "" {
			return
		}
		err := fs.Set(flag.Name, value)
		if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
			err = invalid.Unwrap()
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("environment variable %s, for --%s: %w", name, flag.Name, err))
		}
	})
	return errors.Join(wrong...)
}
