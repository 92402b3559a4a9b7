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

// openToAppend opens the file path, and makes it if there is none. Where root works in the directory of somebody else it
// follows no symbolic link: that user could have root write, and give away, any file.
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
		return nil, hint.Add(fmt.Errorf("%s: root follows no symbolic link in the directory of another user", path),
			"call the command as the user whom the directory belongs to")
	}
	return file, err
}
