//go:build !unix

package systemd

import "net"

func rights(uintptr) []byte { return nil }

func closeOnExec(uintptr) {}

func sendMessage(conn *net.UnixConn, message, _ []byte) error {
	_, err := conn.Write(message)
	return err
}
