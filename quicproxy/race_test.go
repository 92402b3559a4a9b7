//go:build race

package quicproxy

// Under the race detector, pools drop what they are given at random and everything weighs more.
const raceDetector = true
