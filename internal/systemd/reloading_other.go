//go:build !linux

package systemd

// reloading returns the state of a service that reloads its settings, where there is no systemd.
func reloading() string { return "RELOADING=1" }
