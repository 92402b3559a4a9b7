//go:build !unix

package debug

import (
	"context"
	"log/slog"
	"os"
)

// signals never fires: there is no such signal here.
func signals() <-chan os.Signal { return nil }

func dumpOnSignal(ctx context.Context, _ <-chan os.Signal, _ string, _ *slog.Logger) { <-ctx.Done() }
