package watchfile

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/hint"
)

// watched is a file that must begin with "good".
type watched struct {
	*Content[string]
	t    *testing.T
	path string
	log  bytes.Buffer
	age  time.Duration
}

func watch(t *testing.T) *watched {
	w := &watched{t: t, path: filepath.Join(t.TempDir(), "file")}
	w.write("good 1")
	var err error
	w.Content, err = Open(Source[string]{Name: "the file", Files: These(w.path), Log: slog.New(slog.NewTextHandler(&w.log, nil)), Read: func(*string) (*string, error) {
		text, err := os.ReadFile(w.path)
		switch content := string(text); {
		case err != nil:
			return nil, err
		case !strings.HasPrefix(content, "good"):
			return nil, hint.Add(fmt.Errorf("%q is bad", content), "write a good one")
		default:
			return &content, nil
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// write replaces the file with one of another time.
func (w *watched) write(text string) {
	w.t.Helper()
	w.age++
	err := os.WriteFile(w.path, []byte(text), 0o600)
	if err == nil {
		err = os.Chtimes(w.path, time.Time{}, time.Unix(1e9, 0).Add(w.age*time.Second))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// want says what is in use, and what the log has gained since it was last looked at.
func (w *watched) want(content, logged string) {
	w.t.Helper()
	if got := *w.Get(); got != content {
		w.t.Errorf("%q is in use, want %q", got, content)
	}
	lines := strings.Split(strings.TrimSuffix(w.log.String(), "\n"), "\n")
	w.log.Reset()
	if len(lines) != 1 || (lines[0] == "") != (logged == "") || !strings.Contains(lines[0], logged) {
		w.t.Errorf("logged %q, want %q", lines, logged)
	}
}

// TestChanges: a file that has changed is in use after a while, a bad one never; the log has a line for each change, and
// one when all is well again.
func TestChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(t)
		w.want("good 1", "")
		w.write("good 2")
		w.want("good 1", "")
		time.Sleep(Every)
		w.want("good 2", "the file was read again")
		for _, bad := range []string{"bad 3", "evil "} {
			w.write(bad)
			time.Sleep(Every)
			w.want("good 2", `err="\"`+bad+`\" is bad"`)
			for range 3 {
				time.Sleep(Every)
				w.want("good 2", "")
			}
		}
		w.write("evil ") // as before, but it is another change
		w.Look()
		w.want("good 2", `hint="write a good one"`)
		os.Remove(w.path)
		w.Look()
		w.want("good 2", "no such file")
		w.Look()
		w.want("good 2", "")
		w.write("good 2")
		w.Look()
		w.want("good 2", "the file was read again")
		w.write("good 3") // of the same size
		w.Look()
		w.want("good 3", "the file was read again")
	})
}

// TestUnreadable: a file that could not be read is tried again although it has not changed, for instance because somebody
// gave it to this user.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	forbidden := errors.New("permission denied")
	var failing error
	var log bytes.Buffer
	n := 0
	c, err := Open(Source[int]{Name: "it", Files: These(), Log: slog.New(slog.NewTextHandler(&log, nil)), Read: func(last *int) (*int, error) {
		n++
		return &n, failing
	}})
	if err != nil || *c.Get() != 1 {
		t.Fatal(*c.Get(), err)
	}
	if c.Look(); n != 1 {
		t.Error("it was read although nothing has changed")
	}
	failing = forbidden
	c.failed = forbidden
	for range 3 {
		c.Look()
	}
	if n != 4 || log.Len() > 0 {
		t.Errorf("it was read %d times, %s", n, &log)
	}
	failing = nil
	c.Look()
	if n != 5 || !strings.Contains(log.String(), "read again") {
		t.Errorf("it was read %d times, %s", n, &log)
	}
	if c, err := Open(Source[int]{Name: "it", Files: func() ([]string, error) { return nil, forbidden }, Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, forbidden) || c.Last() != nil {
		t.Error(err)
	}
}

// TestNobodyWaits: while a file is read, others get the last content.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c, err := Open(Source[int]{Name: "it", Log: slog.New(slog.DiscardHandler), Read: func(*int) (*int, error) {
			time.Sleep(time.Minute)
			content := n
			return &content, nil
		}, Files: func() ([]string, error) {
			n++
			return []string{filepath.Join("missing", fmt.Sprint(n))}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var reading sync.WaitGroup
		reading.Go(func() {
			if got := *c.Get(); got != 2 {
				t.Errorf("who reads gets %d", got)
			}
		})
		synctest.Wait()
		if got := *c.Get(); got != 1 || time.Since(begun) > 0 {
			t.Errorf("%d after %v", got, time.Since(begun))
		}
		reading.Wait()
	})
}
