package systemd

import (
	"context"
	"os"
	"strconv"
	"sync"
	"time"
)

// watchdogTime is how often systemd wants to hear of this process (sd_watchdog_enabled(3)); 0: never.
func watchdogTime(microseconds, pid string) time.Duration {
	n, err := strconv.ParseInt(microseconds, 10, 64)
	if err != nil || n <= 0 || n > int64(24*time.Hour/time.Microsecond) || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// Watchdog tells systemd, as often as that wants, that the process works, until stop is called. Each time it calls
// answers first, which returns only if the process does work: if it hangs, systemd hears nothing more, and restarts the
// process.
func (m *Manager) Watchdog(answers func()) (stop func()) {
	if m == nil || m.watchdog == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		every := time.NewTicker(m.watchdog / 3)
		defer every.Stop()
		for {
			answers()
			m.Notify("WATCHDOG=1") // if that fails there will be another one in time
			select {
			case <-every.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); watching.Wait() }
}
