package debug

import (
	"bytes"
	"errors"
	"path/filepath"
	"runtime"
	"runtime/pprof"

	"apquic/internal/cli"
)

// The files of a dump. Each dump replaces the one before, so that they cannot fill the disk.
const (
	heapFile       = "debug-heap.pprof"
	goroutinesFile = "debug-goroutines.txt"
)

// Dump writes the heap, for go tool pprof, and the stacks of all goroutines, as text, into folder, for the
// owner alone: a heap profile has names rather than contents, but its owner decides who may look.
func Dump(folder string) error {
	runtime.GC() // the profile is that of the last collection
	return errors.Join(
		writeProfile(filepath.Join(folder, heapFile), "heap", 0),
		writeProfile(filepath.Join(folder, goroutinesFile), "goroutine", 1), // 1: each stack once, with how many have it
	)
}

func writeProfile(path, name string, level int) error {
	var profile bytes.Buffer
	if err := pprof.Lookup(name).WriteTo(&profile, level); err != nil {
		return err
	}
	return cli.ReplaceFile(path, profile.Bytes())
}
