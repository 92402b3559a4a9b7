package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"time"
)

// leftover matches the name of a file that is written before it is renamed, as os.CreateTemp makes it from
// ".NAME.tmp-*", and of the file that tests whether a directory can be written.
var leftover = regexp.MustCompile(`^\.(.+\.tmp|writable)-[0-9]+$`)

// grace is how old a temporary file must be: a command may be writing one right now.
const grace = time.Minute

// RemoveLeftovers removes temporary files from directory that are older than a minute at start, so that
// whoever wrote them was killed. It returns how many there were. Symbolic links in the directory are neither
// followed nor removed.
func RemoveLeftovers(directory string, start time.Time) (removed int, err error) {
	root, err := os.OpenRoot(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("looking for files left behind: %w", err)
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, entry := range entries {
		if !leftover.MatchString(entry.Name()) {
			continue
		}
		info, failed := root.Lstat(entry.Name())
		if failed != nil || !info.Mode().IsRegular() || info.ModTime().After(start.Add(-grace)) {
			continue
		}
		if failed := root.Remove(entry.Name()); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		removed++
	}
	if err != nil {
		return removed, fmt.Errorf("removing files left behind: %w", err)
	}
	return removed, nil
}
