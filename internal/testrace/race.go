//go:build race

package testrace

// Detector: pools drop items at random, and everything costs more memory.
const Detector = true
