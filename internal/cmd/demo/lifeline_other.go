//go:build !linux

package main

import "syscall"

// withParent works only on Linux: elsewhere the programs outlive a demo that is killed, though not one that
// is stopped.
func withParent() *syscall.SysProcAttr { return nil }
