//go:build unix

package reload

import "syscall"

// owner is the user who owns the file; -1: nobody, since there is none.
func (s sight) owner() int {
	if s.info == nil {
		return -1
	}
	if stat, ok := s.info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}
