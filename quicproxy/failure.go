package quicproxy

import (
	"time"

	"apquic/framing"
)

// FailureError is the other side's answer to a request that it could not fulfil.
type FailureError struct {
	Code       framing.ErrorCode
	Text       string        // what happened and why
	Advice     string        // what to do about it
	RetryAfter time.Duration // how long to wait before the next try; 0: not said

	Cause error // not told to the other side; nil: none
}

// Error returns the text.
func (e *FailureError) Error() string { return e.Text }

// Unwrap returns the cause, which only this side knows.
func (e *FailureError) Unwrap() error { return e.Cause }

// Hint says what to do about the failure.
func (e *FailureError) Hint() string { return e.Advice }
