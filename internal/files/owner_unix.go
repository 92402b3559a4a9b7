//go:build unix

package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"unicode"
)

// OwnerHint is the command that fixes an error about a file that belongs to somebody else, such as one made
// by a command that root ran; empty: that is not the cause.
func OwnerHint(err error) string {
	failed, ok := errors.AsType[*fs.PathError](err)
	if !ok || !errors.Is(failed, fs.ErrPermission) {
		return ""
	}
	info, err := os.Stat(failed.Path)
	if err != nil || !info.Mode().IsRegular() { // a directory may be the system's
		return ""
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return ""
	}
	return fmt.Sprintf("the file belongs to %s; give it to the user of this program: chown %s:%s %s",
		userName(int(owner.Uid)), userName(os.Geteuid()), groupName(os.Getegid()), quoted(failed.Path))
}

func userName(id int) string {
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		return u.Username
	}
	return strconv.Itoa(id)
}

func groupName(id int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(id)); err == nil {
		return g.Name
	}
	return strconv.Itoa(id)
}

// quoted makes s one word for a shell.
func quoted(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+", r))
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
