package certs

import "fmt"

// hinted is an error that knows what the person who reads it should do.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

// Hint says the one thing to do.
func (e *hinted) Hint() string { return e.hint }

// withHint adds a hint to err, in the manner of fmt.Sprintf.
func withHint(err error, format string, args ...any) error {
	return &hinted{error: err, hint: fmt.Sprintf(format, args...)}
}
