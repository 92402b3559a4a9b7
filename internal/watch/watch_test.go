package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRun: it shows at once and then every two seconds, goes on after an error, and its end is no error.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		var out strings.Builder
		n := 0
		err := Run(ctx, &out, func(_ context.Context, w io.Writer) error {
			if n++; n == 2 {
				return errors.New("gone")
			}
			fmt.Fprintln(w, n)
			return nil
		})
		if err != nil || out.String() != "1\nerror: gone\n3\n4\n" {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
	if err := Run(t.Context(), io.Discard, func(context.Context, io.Writer) error { return io.ErrNoProgress }); err != io.ErrNoProgress {
		t.Errorf("an error at first: %v", err)
	}
}

// TestScreen: a text takes the place of the one before, and no more than the terminal has.
func TestScreen(t *testing.T) {
	t.Parallel()
	size := func() (int, int, error) { return 5, 3, nil }
	first, later := screen([]byte("one\ntwo two\nthree\n"), size, true), screen([]byte("1\n"), size, false)
	if got, want := first.String(), "\x1b[2J\x1b[Hone\x1b[K\r\ntwo …\x1b[K\r\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := later.String(), "\x1b[H1\x1b[K\r\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
