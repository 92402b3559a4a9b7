package settings

import (
	"fmt"
	"time"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/jsonc"
)

// AutoKeepalive stands for an interval that the node learns.
const AutoKeepalive time.Duration = -1

const autoText = "auto"

// keepaliveVar is a duration or auto.
func keepaliveVar(field *time.Duration, standard time.Duration) setting {
	k := durationKind(time.Second, 24*time.Hour)
	inBounds := k.check
	k.name += `, or "auto"`
	k.want = `"auto", a duration such as "15s", or a number of seconds`
	k.read, k.parse, k.show = keepalive, parseKeepalive, formatKeepalive
	k.check = func(d time.Duration) error {
		if d == AutoKeepalive {
			return nil
		}
		return inBounds(d)
	}
	return k.bind(field, standard)
}

// parseKeepalive reads a duration such as "15s", or "auto".
func parseKeepalive(s string) (time.Duration, error) {
	if s == autoText {
		return AutoKeepalive, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s is neither auto nor a duration such as 15s", hint.Readable(s))
	}
	return d, nil
}

// formatKeepalive is the inverse of parseKeepalive.
func formatKeepalive(d time.Duration) string {
	if d == AutoKeepalive {
		return autoText
	}
	return formatDuration(d)
}

// keepalive reads "auto" or a duration.
func keepalive(v jsonc.Value) (time.Duration, error) {
	if s, err := v.Text(); err == nil && s == autoText {
		return AutoKeepalive, nil
	}
	d, err := v.Duration()
	if err == nil && d < 0 {
		err = fmt.Errorf("%s is negative", formatDuration(d))
	}
	return d, err
}

// checkKeepalive checks that the server is asked before the connection is given up.
func checkKeepalive(keepalive, idleTimeout time.Duration) error {
	if keepalive < idleTimeout { // so is AutoKeepalive, which stays below by itself
		return nil
	}
	return fmt.Errorf("%s is not shorter than idleTimeout, %s: the connection would be given up before the server is asked",
		formatDuration(keepalive), formatDuration(idleTimeout))
}
