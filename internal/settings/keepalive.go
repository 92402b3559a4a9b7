package settings

import (
	"fmt"
	"time"

	"apquic/internal/settings/internal/interval"
)

// AutoKeepalive stands for an interval that the node learns.
const AutoKeepalive = interval.Auto

// keepaliveVar is a duration or auto.
func keepaliveVar(field *time.Duration, standard time.Duration) setting {
	k := durationKind(time.Second, 24*time.Hour)
	inBounds := k.check
	k.name += `, or "auto"`
	k.want = `"auto", a duration such as "15s", or a number of seconds`
	k.read, k.parse, k.show = interval.ReadOrAuto, interval.ParseOrAuto, interval.FormatOrAuto
	k.check = func(d time.Duration) error {
		if d == AutoKeepalive {
			return nil
		}
		return inBounds(d)
	}
	return k.bind(field, standard)
}

// checkKeepalive checks that the server is asked before the connection is given up.
func checkKeepalive(keepalive, idleTimeout time.Duration) error {
	if keepalive < idleTimeout { // so is AutoKeepalive, which stays below by itself
		return nil
	}
	return fmt.Errorf("%s is not shorter than idleTimeout, %s: the connection would be given up before the server is asked",
		interval.Format(keepalive), interval.Format(idleTimeout))
}
