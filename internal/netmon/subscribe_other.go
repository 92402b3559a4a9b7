//go:build !linux

package netmon

import (
	"context"
	"errors"
)

// subscribe is for systems that report changes; others are polled.
func subscribe(context.Context, chan<- struct{}) error { return errors.ErrUnsupported }
