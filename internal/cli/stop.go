package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// UntilStopped returns a context that ends with the first SIGINT or SIGTERM. A second one then ends the
// program at once. SIGHUP is ignored: there is nothing to load again.
func UntilStopped() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGHUP)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-signals:
			signal.Stop(signals) // before anybody knows: the next one has its default effect
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
