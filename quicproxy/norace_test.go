//go:build !race

package quicproxy

const raceDetector = false
