package table

import (
	"fmt"
	"time"
)

// Age is a duration in its largest unit.
func Age(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d", int(d/(24*time.Hour)))
	case d >= time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	case d >= time.Minute:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	}
	return fmt.Sprintf("%d s", int(max(d, 0)/time.Second))
}

// Bytes has at least two digits, in decimal units.
func Bytes(n uint64) string {
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for value >= 1000 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	if unit > 0 && value < 9.95 {
		return fmt.Sprintf("%.1f %s", value, units[unit])
	}
	return fmt.Sprintf("%.0f %s", value, units[unit])
}

// Rate is so many bytes per second between two counts; a counter that began anew has had none.
func Rate(before, now uint64, passed time.Duration) uint64 {
	if now < before || passed <= 0 {
		return 0
	}
	return uint64(float64(now-before) / passed.Seconds())
}
