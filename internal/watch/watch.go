// Package watch shows something again and again, as it changes: on a terminal in its place, elsewhere one after the
// other.
//
// It must not know what is shown.
package watch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"apquic/internal/table"
)

// Every is how often.
const Every = 2 * time.Second

// Run has show write what is to be shown to out, until ctx ends, and returns nil then. An error ends it only at the
// first time: later it is shown, since what is watched may come back.
func Run(ctx context.Context, out io.Writer, show func(ctx context.Context, w io.Writer) error) error {
	size := sizeOf(out)
	ticks := time.NewTicker(Every)
	defer ticks.Stop()
	for first := true; ctx.Err() == nil; first = false {
		var text bytes.Buffer
		err := show(ctx, &text)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case err != nil:
			fmt.Fprintf(&text, "error: %v\n", err)
		}
		if size != nil {
			text = screen(text.Bytes(), size, first)
		}
		if _, err := out.Write(text.Bytes()); err != nil {
			return err
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// sizeOf returns what tells the size of a terminal; nil: it is none.
func sizeOf(out io.Writer) func() (width, height int, err error) {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return func() (width, height int, err error) { return term.GetSize(int(file.Fd())) }
}

// screen puts a text in place of the last one, as much of it as fits.
func screen(text []byte, size func() (width, height int, err error), first bool) (drawn bytes.Buffer) {
	const home, restOfLine, below, all = "\x1b[H", "\x1b[K\r\n", "\x1b[J", "\x1b[2J"
	width, height, err := size()
	if err != nil || width < 1 || height < 2 {
		width, height = 80, 24
	}
	if first {
		drawn.WriteString(all)
	}
	drawn.WriteString(home)
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	for _, line := range lines[:min(len(lines), height-1)] {
		drawn.WriteString(table.Cut(string(line), width) + restOfLine)
	}
	drawn.WriteString(below)
	return drawn
}
