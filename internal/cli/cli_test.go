package cli

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// hinted is an error with a hint, as other packages have them.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }
func (h hinted) Hint() string  { return h.hint }

// mistakes is a list of errors that is not made by errors.Join.
type mistakes []error

func (m mistakes) Error() string   { return errors.Join(m...).Error() }
func (m mistakes) Unwrap() []error { return m }

func TestReport(t *testing.T) {
	t.Parallel()
	plain, other := errors.New("no key"), errors.New("no port")
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"nothing": {nil, ""},
		"one":     {plain, "error: no key\n"},
		"hint":    {hinted{plain, "make one"}, "error: no key\nhint: make one\n"},
		"no hint": {hinted{plain, ""}, "error: no key\n"},
		"hint inside": {
			fmt.Errorf("start: %w", hinted{plain, "make one"}),
			"error: start: no key\nhint: make one\n",
		},
		"joined, with the same hint twice": {
			errors.Join(hinted{plain, "see --help"}, hinted{other, "see --help"}),
			"error: no key\nerror: no port\nhint: see --help\n",
		},
		"joined in each other, in a wrapper of its own hint": {
			hinted{mistakes{errors.Join(plain, hinted{other, "take another"}), errors.New("no host")}, "see --help"},
			"error: no key\nerror: no port\nerror: no host\nhint: take another\nhint: see --help\n",
		},
		"joined under a title stays whole": {
			fmt.Errorf("two things: %w", errors.Join(plain, other)),
			"error: two things: no key\n       no port\n",
		},
		"two that are wrapped in one sentence": {
			fmt.Errorf("%w and %w", plain, other),
			"error: no key and no port\n",
		},
		"several lines": {errors.New("a\nb\n"), "error: a\n       b\n"},
		"a far side that writes to the terminal": {
			errors.New("said: \x1b[2J\u202eü\tx\r\u009b1m"),
			"error: said:  [2J ü x  1m\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if Report(&b, test.err); b.String() != test.want {
				t.Errorf("got\n%swant\n%s", &b, test.want)
			}
		})
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ level, format, want string }{
		{"debug", "text", "level=DEBUG level=INFO level=WARN level=ERROR"},
		{"info", "text", "level=INFO level=WARN level=ERROR"},
		{"warn", "json", `"level":"WARN" "level":"ERROR"`},
		{"error", "json", `"level":"ERROR"`},
	} {
		var b bytes.Buffer
		log, err := NewLog(&b, test.level, test.format)
		if err != nil {
			t.Fatal(err)
		}
		log.Debug("m")
		log.Info("m")
		log.Warn("m")
		log.Error("m")
		var levels []string
		for _, word := range strings.FieldsFunc(b.String(), func(r rune) bool { return strings.ContainsRune(" ,\n", r) }) {
			if strings.Contains(word, "level") {
				levels = append(levels, word)
			}
		}
		if got := strings.Join(levels, " "); got != test.want {
			t.Errorf("%s, %s: %s, want %s", test.level, test.format, got, test.want)
		}
	}
	for _, wrong := range [][2]string{{"INFO", "text"}, {"", "text"}, {"info", "xml"}, {"info", ""}} {
		if log, err := NewLog(&bytes.Buffer{}, wrong[0], wrong[1]); err == nil || log != nil {
			t.Errorf("%q: no error", wrong)
		}
	}
}

func TestApplyEnvironment(t *testing.T) {
	t.Parallel()
	environment := map[string]string{
		"APQUIC_DATA_DIR": "/env", "APQUIC_LISTEN": ":1", "APQUIC_LEASE_TIME": "5m", "APQUIC_EMPTY": "",
		"APQUIC_UPSTREAM": "a,b", "LOG_LEVEL": "debug", "APQUIC_OTHER": "x",
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	dataDir := fs.StringP("data-dir", "d", "/default", "")
	listen := fs.String("listen", ":0", "")
	leaseTime := fs.Duration("lease-time", time.Hour, "")
	empty := fs.String("empty", "default", "")
	level := fs.String("log-level", "info", "")
	upstream := fs.StringArray("upstream", nil, "")
	if err := fs.Parse([]string{"-d", "/flag"}); err != nil {
		t.Fatal(err)
	}
	if err := ApplyEnvironment(fs, "APQUIC", environ(environment)); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(*dataDir, *listen, *leaseTime, *empty, *level, *upstream)
	if want := fmt.Sprint("/flag", ":1", 5*time.Minute, "default", "info", []string{"a,b"}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestApplyEnvironmentMistakes(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	fs.Int("max-services", 1, "")
	fs.Duration("drain", 1, "")
	fs.Func("server", "", func(string) error { return hinted{errors.New("no invitation"), "copy it"} })
	err := ApplyEnvironment(fs, "X", []string{"X_MAX_SERVICES=SECRET", "X_DRAIN=SECRET", "X_SERVER=SECRET"})
	var b bytes.Buffer
	Report(&b, err)
	for _, want := range []string{
		"error: environment variable X_DRAIN, for --drain: ",
		"error: environment variable X_MAX_SERVICES, for --max-services: ",
		"error: environment variable X_SERVER, for --server: no invitation\nhint: copy it\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Count(b.String(), "error: ") != 3 {
		t.Errorf("want 3 errors, got\n%s", &b)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if Version() == "" {
		t.Error("no version")
	}
	revision := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "0123456789abcdef"}}
	for _, test := range []struct {
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		{"v1.2.3", &debug.BuildInfo{Main: debug.Module{Version: "v9"}}, "v1.2.3"},
		{"v1.2.3", nil, "v1.2.3"},
		{"", nil, "devel"},
		{"", &debug.BuildInfo{Main: debug.Module{Version: "v1.0.0"}}, "v1.0.0"},
		{"", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: revision}, "devel-0123456789ab"},
		{"", &debug.BuildInfo{}, "devel"},
	} {
		if got := versionFrom(test.linked, test.info); got != test.want {
			t.Errorf("%q, %v: %s, want %s", test.linked, test.info, got, test.want)
		}
	}
}
