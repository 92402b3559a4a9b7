// Package interval reads and shows the times in settings: durations, and an interval that may be "auto".
//
// It must not know any setting.
package interval

import (
	"fmt"
	"strings"
	"time"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/jsonc"
)

// Auto stands for an interval that the program learns.
const Auto time.Duration = -1

const autoText = "auto"

// Format is d without the zeros at the end: 3h, not 3h0m0s.
func Format(d time.Duration) string {
	s := d.String()
	if trimmed, ok := strings.CutSuffix(s, "m0s"); ok {
		s = trimmed + "m"
	}
	if trimmed, ok := strings.CutSuffix(s, "h0m"); ok {
		s = trimmed + "h"
	}
	return s
}

// ParseOrAuto reads a duration such as "15s", or "auto".
func ParseOrAuto(s string) (time.Duration, error) {
	if s == autoText {
		return Auto, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s is neither auto nor a duration such as 15s", hint.Readable(s))
	}
	return d, nil
}

// FormatOrAuto is the inverse of ParseOrAuto.
func FormatOrAuto(d time.Duration) string {
	if d == Auto {
		return autoText
	}
	return Format(d)
}

// ReadOrAuto reads "auto" or a duration of a file.
func ReadOrAuto(v jsonc.Value) (time.Duration, error) {
	if s, err := v.Text(); err == nil && s == autoText {
		return Auto, nil
	}
	d, err := v.Duration()
	if err == nil && d < 0 {
		err = fmt.Errorf("%s is negative", Format(d))
	}
	return d, err
}
