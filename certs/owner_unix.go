//go:build unix

package certs

import (
	"os"
	"syscall"
)

// giveTo makes the owner of the file or directory path that of file: a command of root must leave what the server
// can use, which runs as somebody else. Nobody but root can give files away, nor needs to.
func giveTo(file *os.File, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return file.Chown(int(owner.Uid), int(owner.Gid))
}
