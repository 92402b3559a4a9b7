package quicproxy

import (
	"time"

	"apquic/framing"
)

// FailureError is the answer of the other side to a request that it could not fulfil.
type FailureError struct {
	Code       framing.ErrorCode
	Text       string        // what happened and why
	Advice     string        // what to do about it
	RetryAfter time.Duration // how long to wait before the request is made again; 0: not told

	Cause error // what the other side needs not know; nil: nothing
}

func (e *FailureError) Error() string { return e.Text }

// Unwrap returns the cause, which only this side knows.
func (e *FailureError) Unwrap() error { return e.Cause }

// Hint says what to do about it.
func (e *FailureError) Hint() string { return e.Advice }
