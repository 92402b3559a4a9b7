//go:build unix

package systemd

import (
	"errors"
	"net"
	"syscall"
)

func rights(fd uintptr) []byte { return syscall.UnixRights(int(fd)) }

func closeOnExec(fd uintptr) { syscall.CloseOnExec(int(fd)) }

// sendMessage is WriteMsgUnix, which package net has for datagrams only where nothing is connected.
func sendMessage(conn *net.UnixConn, message, rights []byte) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) (done bool) {
		failed = syscall.Sendmsg(int(fd), message, rights, nil, 0)
		return !errors.Is(failed, syscall.EAGAIN)
	})
	return errors.Join(err, failed)
}
