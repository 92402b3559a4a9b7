package config

import (
	"fmt"
	"time"
)

// AutoKeepalive stands for a time that the node finds out.
const AutoKeepalive time.Duration = -1

const autoText = "auto"

// ParseKeepalive reads a duration such as "15s", or "auto".
func ParseKeepalive(s string) (time.Duration, error) {
	if s == autoText {
		return AutoKeepalive, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s is neither auto nor a duration such as 15s", readable(s))
	}
	return d, nil
}

// FormatKeepalive is the inverse of ParseKeepalive.
func FormatKeepalive(d time.Duration) string {
	if d == AutoKeepalive {
		return autoText
	}
	return formatDuration(d)
}

// keepalive reads "auto" or what duration reads.
func keepalive(v value) (time.Duration, error) {
	if s, err := text(v); err == nil && s == autoText {
		return AutoKeepalive, nil
	}
	d, err := duration(v)
	if err == nil && d < 0 {
		err = fmt.Errorf("%s is negative", formatDuration(d))
	}
	return d, err
}

// checkKeepalive checks that the server is asked before it is given up.
func (f *faults) checkKeepalive(keepalive, idleTimeout time.Duration) {
	if keepalive == AutoKeepalive {
		return // it keeps below
	}
	f.add(within(keepalive, time.Second, 24*time.Hour), "keepalive")
	if keepalive >= idleTimeout {
		f.add(fmt.Errorf("%s is not shorter than idleTimeout, %s: the connection would be given up before the server is asked",
			formatDuration(keepalive), formatDuration(idleTimeout)), "keepalive", "idleTimeout")
	}
}
