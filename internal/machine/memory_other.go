//go:build !linux

package machine

func containerLimit() int64 { return 0 }
