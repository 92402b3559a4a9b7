package main

import (
	"fmt"
	"math"
	"strconv"
)

// unit is the unit of a value; the table shows its text.
type unit string

const (
	megabytesPerSecond unit = "MB/s"
	secondsPerGigabyte unit = "s/GB"
	micros             unit = "µs"
	millis             unit = "ms"
	secs               unit = "s"
	perSecond          unit = "/s"
	kilobytes          unit = "KiB"
	percent            unit = "%"
	times              unit = "×"
	ofTen              unit = "of 10"
	yesNo              unit = ""
)

// format writes a value with three significant digits, or whole when it has more.
func (u unit) format(value float64) string {
	switch {
	case u == yesNo && value == 1:
		return "yes"
	case u == yesNo && value == 0:
		return "no"
	case u == yesNo:
		return "at times"
	case math.Abs(value) >= 100 || value == math.Trunc(value):
		return strconv.FormatFloat(value, 'f', 0, 64)
	case math.Abs(value) >= 10:
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	return strconv.FormatFloat(math.Round(value*100)/100+0, 'f', 2, 64) // + 0: not -0.00
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
