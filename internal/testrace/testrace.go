// Package testrace tells tests about the race detector, under which everything takes ten times as long. It is for tests alone.
package testrace

import "time"

// Whole is how much of the same a test does: all of it, or enough to see races under the race detector. make test runs the tests
// that ask for it a second time, without the race detector (WHOLE in the Makefile).
func Whole[N int | time.Duration](all, underRace N) N {
	if Detector {
		return underRace
	}
	return all
}
