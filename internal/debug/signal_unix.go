//go:build unix

package debug

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// signals returns a channel of requests for a dump.
func signals() <-chan os.Signal {
	requests := make(chan os.Signal, 1)
	signal.Notify(requests, syscall.SIGUSR1)
	return requests
}

// dumpOnSignal writes a Dump to folder for each request, until ctx ends.
func dumpOnSignal(ctx context.Context, requests <-chan os.Signal, folder string, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-requests:
		}
		if err := Dump(folder); err != nil {
			log.Error("cannot write heap and goroutines", "err", err)
			continue
		}
		log.Info("heap and goroutines written", "folder", folder, "files", heapFile+", "+goroutinesFile)
	}
}
