//go:build unix

package certs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"apquic/internal/hint"
)

// GiveTo makes the owner of the file or directory path the owner of file: a command run by root must leave
// files that the server, which runs as another user, can use. Only root can give files away, or needs to.
func GiveTo(file *os.File, path string) error {
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

// openToAppend opens the file path, and creates it if it is missing. When root works in another user's
// directory it follows no symbolic link: that user could make root write, and give away, any file.
func openToAppend(path string) (*os.File, error) {
	flags := os.O_CREATE | os.O_RDWR | os.O_APPEND
	if os.Geteuid() == 0 {
		info, err := os.Stat(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
			flags |= syscall.O_NOFOLLOW
		}
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) { // FreeBSD says the latter
		return nil, hint.Add(fmt.Errorf("%s: root follows no symbolic link in another user's directory", path),
			"run the command as the owner of the directory")
	}
	return file, err
}
