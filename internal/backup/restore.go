package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"apquic/certs"
	"apquic/internal/hint"
)

// unfinished is the folder in the data directory where a restore collects the files until all have been checked. While
// it exists no program may use the directory.
const unfinished = "restoring"

// CheckFinished returns an error if a restore of a data directory is going on, or was interrupted.
func CheckFinished(path string) error {
	if _, err := os.Lstat(filepath.Join(path, unfinished)); err != nil {
		return nil
	}
	return hint.Add(fmt.Errorf("a restore of %s has not finished", path),
		"let it finish; if it was interrupted, restore again, or remove everything in %s", path)
}

// Restore makes the directory what it was when the backup was made. It replaces nothing: the directory must have none of
// the files. Unless the whole backup is sound, the directory gets none of them.
func (d Directory) Restore(ctx context.Context, from io.Reader, passphrase string) (about About, err error) {
	_, missing := os.Stat(d.Path)
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return about, err
	}
	root, err := os.OpenRoot(d.Path)
	if err != nil {
		return about, err
	}
	defer root.Close()
	if err := d.checkEmpty(root); err != nil {
		return about, err
	}
	if err := errors.Join(root.RemoveAll(unfinished), root.Mkdir(unfinished, 0o700)); err != nil {
		return about, err
	}
	defer func() {
		err = errors.Join(err, root.RemoveAll(unfinished))
		syncFolder(d.Path)
		if err != nil && missing != nil {
			os.Remove(d.Path) // fails if somebody else has put something there
		}
	}()
	s := &staged{Directory: d, root: root, seen: make(map[string]bool)}
	if err := read(ctx, from, passphrase, s.begin, s.take); err != nil {
		return about, err
	}
	if err := s.check(); err != nil {
		return about, err
	}
	if err := s.give(); err != nil {
		return about, err
	}
	return s.about, s.move()
}

// checkEmpty refuses a directory that a program has used.
func (d Directory) checkEmpty(root *os.Root) error {
	var there []string
	for _, f := range d.Files {
		if _, err := root.Lstat(f.Name); err == nil {
			there = append(there, f.Name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(there) == 0 {
		return nil
	}
	if err := CheckFinished(d.Path); err != nil {
		return hint.Add(fmt.Errorf("an earlier restore of %s was interrupted", d.Path), "remove everything in %s and restore again", d.Path)
	}
	return hint.Add(fmt.Errorf("%s is in use: it has %s, and nothing is overwritten", d.Path, strings.Join(there, ", ")),
		"name a directory without these with --data-dir, or move them away")
}

// staged are the files that were collected.
type staged struct {
	Directory
	root  *os.Root
	about About
	seen  map[string]bool // names in the data directory
}

func (s *staged) begin(about About) error {
	s.about = about
	return nil
}

// admit says which file of the directory an entry is.
func (s *staged) admit(e entry) (f File, name string, err error) {
	shown := hint.Printable(e.name, 80)
	f, name, ok := s.find(e.name)
	switch {
	case !ok:
		err = hint.Add(fmt.Errorf("the backup has %q, which this program does not know", shown), "use the program that made it: %s", hint.Printable(s.about.Program, 80))
	case s.seen[name]:
		err = fmt.Errorf("%w: it has %q twice", errDamaged, shown)
	case e.size > f.Max:
		err = fmt.Errorf("%w: %q has %d bytes, more than %d", errDamaged, shown, e.size, f.Max)
	}
	s.seen[name] = true
	return f, name, err
}

// take writes one file.
func (s *staged) take(e entry) error {
	f, name, err := s.admit(e)
	if err != nil {
		return err
	}
	if f.Folder && !s.seen[f.Name] {
		s.seen[f.Name] = true
		if err := s.root.Mkdir(unfinished+"/"+f.Name, 0o700); err != nil {
			return err
		}
	}
	put := f.Put
	if put == nil {
		put = copyTo
	}
	// What reading fails with says what is wrong with the backup; a full disk is no fault of it.
	from := &source{Reader: e}
	err = put(s.root, unfinished+"/"+name, from)
	if from.err != nil {
		return damaged(from.err)
	}
	if err != nil {
		return fmt.Errorf("restoring %q: %w", name, err)
	}
	return nil
}

// source remembers why it could not be read.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (n int, err error) {
	n, err = s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func copyTo(root *os.Root, name string, from io.Reader) error {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Sync(), file.Close())
}

func (s *staged) check() error {
	for _, f := range s.Files {
		if f.Check == nil || !s.seen[f.Name] {
			continue
		}
		if err := f.Check(filepath.Join(s.Path, unfinished, f.Name), s.about); err != nil {
			return fmt.Errorf("%w: %v", errDamaged, err) // a hint would be about a file that will not be there
		}
	}
	return nil
}

// give makes the files those of the owner of the directory, if root restores them.
func (s *staged) give() error {
	for name := range s.seen {
		file, err := s.root.Open(unfinished + "/" + name)
		if err != nil {
			return err
		}
		if err := errors.Join(certs.GiveTo(file, s.Path), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// move gives the files their places: all, or none if one cannot be moved. After a power cut in between the folder is
// still there, and nobody uses a part of them.
func (s *staged) move() error {
	syncFolder(filepath.Join(s.Path, unfinished))
	syncFolder(s.Path)
	var moved []string
	for _, f := range slices.Backward(s.Files) {
		if !s.seen[f.Name] {
			continue
		}
		if err := s.root.Rename(unfinished+"/"+f.Name, f.Name); err != nil {
			for _, name := range moved {
				err = errors.Join(err, s.root.RemoveAll(name))
			}
			return err
		}
		moved = append(moved, f.Name)
	}
	syncFolder(s.Path)
	return nil
}
