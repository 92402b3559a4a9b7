package cli

import (
	"errors"
	"fmt"
)

// Exit statuses of both programs.
const (
	ExitOK     = 0
	ExitFailed = 1 // while running
	ExitUsage  = 2 // wrong command line
	ExitConfig = 3 // wrong configuration
	ExitLeft   = 4 // a node was told to leave its server, and should not be started again
)

// errEnded is about what there is nothing to say.
var errEnded = errors.New("ended")

// statusError is an error with an exit status of its own.
type statusError struct {
	error
	status int
	hint   string
}

func (e *statusError) Unwrap() error { return e.error }
func (e *statusError) Hint() string  { return e.hint }

// UsageError marks err as a mistake on the command line of program.
func UsageError(program string, err error) error {
	return &statusError{err, ExitUsage, fmt.Sprintf("%s --help shows how it is used", program)}
}

// ConfigError marks err as a mistake in the configuration.
func ConfigError(err error) error { return &statusError{err, ExitConfig, ""} }

// Ended is the end of a program with a status of its own, which is no mistake.
func Ended(status int) error { return &statusError{errEnded, status, ""} }

// ExitStatus is what a program ends with after err.
func ExitStatus(err error) int {
	if err == nil {
		return ExitOK
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status
	}
	return ExitFailed
}
