//go:build !linux

package main

import "syscall"

// withParent is for Linux: elsewhere the programs outlive a demo that is killed, but none that is stopped.
func withParent() *syscall.SysProcAttr { return nil }
