package systemd

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reloading returns the state of a service that reloads its settings from now on, until it is Ready again.
func reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}
