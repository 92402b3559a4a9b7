//go:build !linux

package netmon

import (
	"context"
	"errors"
)

// subscribe is for systems that tell; the others are asked.
func subscribe(context.Context, chan<- struct{}) error { return errors.ErrUnsupported }
