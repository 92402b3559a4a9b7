package totals

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"apquic/internal/hint"
)

// guard turns bbolt's reaction to a damaged file into an error: it panics, or reads beyond the mapping. It may hold its
// locks for ever then, so it is left alone: its mapping is lost, and its file closed, so that another can be opened.
func (t *Totals) guard(access func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err = fmt.Errorf("%w: %v", errDamaged, p)
		if t.db = nil; t.opened != nil {
			unlock(t.opened)
			t.opened.Close()
		}
	}()
	return access()
}

// refusal is a file that cannot be used, as it was then.
type refusal struct {
	file os.FileInfo
	why  error
}

// refuse remembers that a file is damaged or another one: trying again each minute would lose a mapping each time.
func (t *Totals) refuse(why error) {
	t.refused = refusal{}
	if info, err := os.Stat(t.path); err == nil && (errors.Is(why, errDamaged) || errors.Is(why, errFormat)) {
		t.refused = refusal{info, why}
	}
}

// stillRefused is why the file cannot be used, if it is as it was.
func (t *Totals) stillRefused() error {
	before := t.refused.file
	if before == nil {
		return nil
	}
	now, err := os.Stat(t.path)
	if err == nil && os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime()) {
		return t.refused.why
	}
	return nil
}

// explain adds the file, what was being done and, if there is something to do about it, a hint.
func explain(doing, path string, err error) error {
	if err == nil {
		return nil
	}
	advice := ""
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		err, advice = errors.New("another process has it open"), "another apquic-server is using this data directory: stop it, or choose another with --data-dir"
	case errors.Is(err, errFormat):
		advice = "use the version of apquic-server that wrote the file, or move it away: then totals begin anew"
	case errors.Is(err, errDamaged), errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		advice = "restore the file from a backup, or move it away: then totals begin anew"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		advice = "the disk is full: make room on it"
	case errors.Is(err, fs.ErrPermission):
		advice = "let the user of apquic-server read and write the file and its folder"
	}
	err = fmt.Errorf("%s the file of totals %s: %w", doing, path, err)
	if advice == "" {
		return err
	}
	return hint.Add(err, "%s", advice)
}
