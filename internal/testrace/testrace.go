// Package testrace tells tests about the race detector, under which everything takes ten times as long. Only
// tests may import it.
package testrace

import "time"

// Whole is how much repetition a test does: all, or only enough to find races under the race detector. make
// test runs the tests that call it a second time without the race detector (WHOLE in the Makefile).
func Whole[N int | time.Duration](all, underRace N) N {
	if Detector {
		return underRace
	}
	return all
}
