package backup

import (
	"cmp"
	"io"
	"os"
	"regexp"
	"strings"
)

// File is a file, or a folder of files, that belongs into a backup.
type File struct {
	Name   string // in the data directory
	Entry  string // in the archive; empty: Name
	Max    int64  // bytes; of a folder, of each file in it
	Folder bool
	// Together: these files are read again until two readings in a row agree, since they may be replaced together. They
	// have to be small.
	Together bool
	// Source is the file in the data directory to save, if that is another one, such as a copy.
	Source string
	// Check returns why a restored file cannot be used; nil: it can.
	Check func(path string, about About) error
	// Put makes the file of what the archive has; nil: they are the same.
	Put func(root *os.Root, name string, from io.Reader) error
}

func (f File) entry() string { return cmp.Or(f.Entry, f.Name) }

// Directory is a data directory, whose Files are saved in their order, and restored in the reverse one.
type Directory struct {
	Path  string
	Files []File

	work int // for tests; 0: defaultWork
}

// inFolder matches the names of files in folders: those of domains, and what acme adds to them.
var inFolder = regexp.MustCompile(`^[a-z0-9_][a-z0-9_.+-]{0,254}$`)

// find returns what an archive may have under a name, and the name of that in the data directory.
func (d Directory) find(entry string) (f File, name string, ok bool) {
	for _, f := range d.Files {
		if !f.Folder && entry == f.entry() {
			return f, f.Name, true
		}
		if rest, in := strings.CutPrefix(entry, f.entry()+"/"); f.Folder && in && inFolder.MatchString(rest) {
			return f, f.Name + "/" + rest, true
		}
	}
	return File{}, "", false
}
