//go:build !unix

package load

import "syscall"

func smallSocket(_, _ string, _ syscall.RawConn) error { return nil }
