package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestExitStatus(t *testing.T) {
	t.Parallel()
	cause := errors.New("what happened")
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, ExitOK},
		{cause, ExitFailed},
		{UsageError("program", cause), ExitUsage},
		{fmt.Errorf("wrapped: %w", UsageError("program", cause)), ExitUsage},
		{ConfigError(cause), ExitConfig},
	} {
		if got := ExitStatus(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
		if test.err != nil && !errors.Is(test.err, cause) {
			t.Errorf("%v: the cause is lost", test.err)
		}
	}
	if got := ExitStatus(Ended(ExitLeft)); got != ExitLeft {
		t.Errorf("ended with %d", got)
	}
	var report strings.Builder
	Report(&report, UsageError("apquic-node", cause))
	if got, want := report.String(), "error: what happened\nhint: apquic-node --help shows how it is used\n"; got != want {
		t.Errorf("reported %q, want %q", got, want)
	}
}
