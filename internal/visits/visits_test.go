package visits

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// TestVisitsAreBounded: however many visitors come, only the last ones are remembered, the newest first.
func TestVisitsAreBounded(t *testing.T) {
	t.Parallel()
	var v Last
	if got := v.Newest(5); len(got) > 0 {
		t.Errorf("%v", got)
	}
	for i := range 1000 {
		v.add(Visit{Client: fmt.Sprint(i)})
	}
	if got := v.Newest(1000); len(got) != Most || got[0].Client != "999" || got[Most-1].Client != "950" {
		t.Errorf("%d: %v", len(got), got)
	}
}

// TestHandler: who leaves is noted whatever the level of the log is, which gets no line more than before.
func TestHandler(t *testing.T) {
	t.Parallel()
	var v Last
	var out strings.Builder
	log := slog.New(v.Handler(slog.NewTextHandler(&out, nil))).With("a", 1).WithGroup("b")
	log.Debug("relay ended", "service", "web", "client", strings.Repeat("x", 5000)+"\x1b[2J", "to_upstream", uint64(12), "from_upstream", -1)
	log.Debug("something else")
	log.Info("relays")
	got := v.Newest(Most)
	if len(got) != 1 || got[0].Service != "web" || len(got[0].Client) > 2*maxText || got[0].In != 12 || got[0].Out != 0 || got[0].Ended.IsZero() {
		t.Errorf("%v", got)
	}
	if strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), "msg=relays") {
		t.Errorf("the log has %q", &out)
	}
}

// BenchmarkHandler is what a visitor who leaves costs a node with a live view or a page.
func BenchmarkHandler(b *testing.B) {
	var v Last
	log := slog.New(v.Handler(slog.NewTextHandler(io.Discard, nil)))
	b.ReportAllocs()
	for b.Loop() {
		log.Debug("relay ended", "service", "web", "client", "198.51.100.7:4123", "to_upstream", uint64(1), "from_upstream", uint64(2))
	}
}
