package machine

import (
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func physicalMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// containerLimit is the smallest memory.max of the control groups (version 2) that the process is in; 0:
// none.
func containerLimit() int64 { return groupLimit("/proc/self/cgroup", "/sys/fs/cgroup") }

func groupLimit(membership, root string) (limit int64) {
	groups, err := os.ReadFile(membership)
	if err != nil {
		return 0
	}
	_, group, found := strings.Cut(string(groups), "0::")
	if !found {
		return 0
	}
	group, _, _ = strings.Cut(group, "\n")
	for group = path.Clean("/" + group); ; group = path.Dir(group) {
		text, err := os.ReadFile(path.Join(root, group, "memory.max"))
		if bytes, parseErr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && parseErr == nil && bytes > 0 {
			if limit == 0 || bytes < limit {
				limit = bytes
			}
		}
		if group == "/" {
			return limit
		}
	}
}
