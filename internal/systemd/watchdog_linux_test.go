package systemd

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listening returns a Manager and what it is told.
func listening(t *testing.T, watchdog time.Duration) (*Manager, func(within time.Duration) string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &Manager{socket: path, watchdog: watchdog}, func(within time.Duration) string {
		text := make([]byte, 4096)
		conn.SetReadDeadline(time.Now().Add(within))
		n, err := conn.Read(text)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return ""
		} else if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
}

// TestWatchdog: systemd hears of a process as long as that answers, and no longer.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	m, told := listening(t, 30*time.Millisecond)
	hang, answers := make(chan struct{}), make(chan struct{}, 5)
	stop := m.Watchdog(func() {
		select {
		case answers <- struct{}{}:
		default:
			<-hang
		}
	})
	for i := range cap(answers) {
		if got := told(10 * time.Second); got != "WATCHDOG=1" {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	if got := told(200 * time.Millisecond); got != "" {
		t.Errorf("it hangs, and says %q", got)
	}
	close(hang)
	stop()
	var none *Manager
	none.Watchdog(func() { t.Error("nobody wants to know") })()
	(&Manager{}).Watchdog(func() { t.Error("nobody wants to know") })()
}

func TestWatchdogTime(t *testing.T) {
	t.Parallel()
	own := strconv.Itoa(os.Getpid())
	for _, test := range []struct {
		microseconds, pid string
		want              time.Duration
	}{
		{"120000000", "", 2 * time.Minute}, {"120000000", own, 2 * time.Minute}, {"120000000", "1", 0},
		{"", "", 0}, {"0", "", 0}, {"-1", "", 0}, {"x", own, 0}, {"99999999999999999999", "", 0}, {"9223372036854775807", "", 0},
	} {
		if got := watchdogTime(test.microseconds, test.pid); got != test.want {
			t.Errorf("%q of %q: %v", test.microseconds, test.pid, got)
		}
	}
}

// TestReload: systemd hears when a reload began, by its own clock, and when it was over.
func TestReload(t *testing.T) {
	t.Parallel()
	m, told := listening(t, 0)
	var before, after unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &before)
	m.Reload(func() {
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &after)
		state, rest, _ := strings.Cut(told(10*time.Second), "\n")
		began, err := strconv.ParseInt(strings.TrimPrefix(rest, "MONOTONIC_USEC="), 10, 64)
		if state != "RELOADING=1" || err != nil || began < before.Nano()/1000 || began > after.Nano()/1000 {
			t.Errorf("%q, %q: %v", state, rest, err)
		}
	})
	if got := told(10 * time.Second); got != Ready {
		t.Errorf("after it %q", got)
	}
	done := false
	(*Manager)(nil).Reload(func() { done = true })
	if !done {
		t.Error("without systemd nothing is reloaded")
	}
}
