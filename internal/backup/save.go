package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"apquic/internal/hint"
)

// readings is how often files may change while they are read together.
const readings = 10

// Save writes a backup of the directory, which a program may use meanwhile: a file that it replaces is saved as it was
// before or after.
func (d Directory) Save(ctx context.Context, to io.Writer, passphrase string, about About) error {
	work := d.work
	if work == 0 {
		work = defaultWork
	}
	together, err := d.readTogether()
	if err != nil {
		return err
	}
	w, err := newWriter(ctx, to, passphrase, work, about)
	if err != nil {
		return err
	}
	for _, f := range d.Files {
		if err := d.checkSaved(f, about); err != nil {
			return fmt.Errorf("the backup would be useless: %w", err)
		}
		switch content, ok := together[f.Name]; {
		case ok:
			err = w.add(f.entry(), int64(len(content)), bytes.NewReader(content))
		case f.Together: // it is missing
		case f.Folder:
			err = d.saveFolder(w, f)
		default:
			err = d.saveFile(w, f, f.Name, f.entry())
		}
		if err != nil {
			return fmt.Errorf("saving %s: %w", filepath.Join(d.Path, f.Name), err)
		}
	}
	return w.close()
}

// checkSaved returns why a file could not be used after a restore.
func (d Directory) checkSaved(f File, about About) error {
	path := filepath.Join(d.Path, f.Name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || f.Check == nil {
		return nil
	}
	return f.Check(path, about)
}

// readTogether returns the contents of those files that change together, by their names.
func (d Directory) readTogether() (map[string][]byte, error) {
	var before map[string][]byte
	for range readings {
		now := make(map[string][]byte)
		for _, f := range d.Files {
			if !f.Together {
				continue
			}
			file, size, err := d.open(f.Name, f.Max)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			content := make([]byte, size)
			_, err = io.ReadFull(file, content)
			file.Close()
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", file.Name(), err)
			}
			now[f.Name] = content
		}
		if before != nil && reflect.DeepEqual(now, before) {
			return now, nil
		}
		before = now
	}
	return nil, hint.Add(fmt.Errorf("the keys in %s keep changing", d.Path), "try again later")
}

// open opens a file of at most so many bytes.
func (d Directory) open(name string, most int64) (file *os.File, size int64, err error) {
	path := filepath.Join(d.Path, name)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, 0, err
	case !info.Mode().IsRegular():
		return nil, 0, fmt.Errorf("%s is not a file", path)
	}
	if file, err = os.Open(path); err != nil {
		return nil, 0, err
	}
	if info, err = file.Stat(); err == nil && info.Size() > most {
		err = fmt.Errorf("%s has %d bytes, more than the %d that a backup takes", path, info.Size(), most)
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// saveFile saves a file unless it is missing. What is appended to it meanwhile is not saved.
func (d Directory) saveFile(w *writer, f File, name, entry string) error {
	if f.Source != "" {
		name = f.Source
	}
	file, size, err := d.open(name, f.Max)
	if errors.Is(err, fs.ErrNotExist) && f.Source == "" {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return w.add(entry, size, file)
}

// saveFolder saves the files in a folder whose names a backup knows; others are not the program's.
func (d Directory) saveFolder(w *writer, f File) error {
	folder, err := os.Open(filepath.Join(d.Path, f.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer folder.Close()
	for added := 0; ; {
		entries, err := folder.ReadDir(100)
		for _, entry := range entries {
			if !entry.Type().IsRegular() || !inFolder.MatchString(entry.Name()) {
				continue
			}
			if err := d.saveFile(w, f, f.Name+"/"+entry.Name(), f.entry()+"/"+entry.Name()); err != nil {
				return err
			}
			if added++; added > maxEntries/2 {
				return fmt.Errorf("it has more than %d files", maxEntries/2)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
