//go:build !linux

package systemd

// Reloading returns the state of a service that reloads its settings, where there is no systemd.
func Reloading() string { return "RELOADING=1" }
