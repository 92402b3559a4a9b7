//go:build race

package testrace

// Detector: pools drop what they are given at random, and everything weighs more.
const Detector = true
