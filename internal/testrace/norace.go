//go:build !race

package testrace

// Detector reports whether the race detector runs.
const Detector = false
