package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apquic/internal/monitor"
	"apquic/internal/monitor/monitortest"
	"apquic/quicproxy/live"
)

var (
	online = monitor.Metric{Name: "apquic_test_online", Help: "Whether.", Labels: []string{"node"}, Many: true}
	rtt    = monitor.Metric{Name: "apquic_test_rtt_seconds", Help: "How long.", Labels: []string{"node"}, Many: true, Apart: true}
	moved  = monitor.Metric{Name: "apquic_test_moved_bytes_total", Help: "How much.", Kind: monitor.Counter, Labels: []string{"node"}, Many: true}
)

func isReady(context.Context) error { return nil }

// pages is a Config that tells what a test puts into it.
type pages struct{ fill func(*monitor.Page) }

func (p *pages) config() monitor.Config {
	return monitor.Config{Version: "test 1.0", Ready: isReady, Collect: func(_ context.Context, page *monitor.Page) error {
		p.fill(page)
		return nil
	}}
}

// has fails unless a page has a line.
func has(t *testing.T, page string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+page, "\n"+line+"\n") {
			t.Errorf("there is no line %q", line)
		}
	}
}

// TestMany: however many nodes there are, 500 have numbers of their own, the same for all metrics, and the rest are added
// up, unless a sum means nothing.
func TestMany(t *testing.T) {
	t.Parallel()
	p := &pages{fill: func(page *monitor.Page) {
		for i := range 5000 {
			name := fmt.Sprintf("node-%04d", i)
			page.Add(online, 1, name)
			page.Add(moved, float64(i), name)
			page.Add(rtt, 0.018, name)
		}
	}}
	page := monitortest.Scrape(t, p.config())
	has(t, page, `apquic_test_online{node="node-0499"} 1`, `apquic_test_online{node="(other)"} 4500`, `apquic_test_rtt_seconds{node="node-0000"} 0.018`,
		fmt.Sprintf(`apquic_test_moved_bytes_total{node="(other)"} %v`, float64(500+4999)*4500/2))
	for name, want := range map[string]int{online.Name: 501, moved.Name: 501, rtt.Name: 500} {
		if n := strings.Count(page, "\n"+name+"{"); n != want {
			t.Errorf("%s has %d series, want %d", name, n, want)
		}
	}
}

// TestOthersNeverFall: the sum of counters grows by what its parts grow, whichever come and go, begin anew, or get numbers
// of their own.
func TestOthersNeverFall(t *testing.T) {
	t.Parallel()
	counts := make(map[string]float64)
	var first []string // before all others
	p := &pages{fill: func(page *monitor.Page) {
		for _, name := range first {
			page.Add(moved, 1, name)
		}
		for i := range 500 - 1 {
			page.Add(moved, 1, fmt.Sprint("own-", i))
		}
		for _, name := range []string{"last", "a", "b", "c"} { // last is the last with its own
			if n, ok := counts[name]; ok {
				page.Add(moved, n, name)
			}
		}
	}}
	handler := monitor.Beside(http.NotFoundHandler(), p.config())
	for _, step := range []struct {
		first  []string
		counts map[string]float64
		want   string
	}{
		{nil, map[string]float64{"last": 1000, "a": 10, "b": 20}, "30"},
		{nil, map[string]float64{"last": 1000, "a": 11, "b": 22}, "33"},
		{nil, map[string]float64{"last": 1000, "a": 11}, "33"},                    // b has gone
		{nil, map[string]float64{"last": 1000, "a": 2, "c": 5}, "40"},             // a began anew, c came
		{[]string{"new"}, map[string]float64{"last": 1001, "a": 2, "c": 5}, "41"}, // last lost its own
		{nil, map[string]float64{"last": 1002, "a": 3, "c": 5}, "42"},             // and has it again
		{nil, map[string]float64{"last": 1002}, "42"},                             // nobody is left
		{nil, map[string]float64{"last": 1002, "a": 3, "b": 1}, "46"},             // after they went
	} {
		first, counts = step.first, step.counts
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, monitor.Path, nil))
		has(t, answer.Body.String(), `apquic_test_moved_bytes_total{node="(other)"} `+step.want)
	}
}

// TestLabels: whatever names nodes have, a page is one that Prometheus reads.
func TestLabels(t *testing.T) {
	t.Parallel()
	p := &pages{fill: func(page *monitor.Page) {
		page.Add(online, 1, "twice")
		page.Add(online, 1, "twice")
		page.Add(online, 1, "no\xffUTF-8")
		page.Add(online, 1, "\"\\\n{}")
		page.Add(online, 1, "")
		page.AddHistogram(monitor.Metric{Name: "apquic_test_seconds", Help: "How long."}, live.Histogram{Bounds: []float64{1, 2}, Counts: []uint64{1, 2, 4}, Sum: 10})
	}}
	has(t, monitortest.Scrape(t, p.config()), `apquic_test_online{node="twice"} 2`, "apquic_test_online{node=\"no\ufffdUTF-8\"} 1", `apquic_test_online{node="\"\\\n{}"} 1`,
		`apquic_test_online{node=""} 1`, `apquic_test_seconds_bucket{le="1"} 1`, `apquic_test_seconds_bucket{le="2"} 3`, `apquic_test_seconds_bucket{le="+Inf"} 7`,
		`apquic_test_seconds_sum 10`, `apquic_test_seconds_count 7`, `apquic_build_info{program="test",version="1.0"} 1`, `apquic_ready 1`)
}

// TestReady: /readyz says yes or no and nothing else, and however often it is asked the program is asked once a second;
// /healthz asks nobody, and no path collects anything but /metrics.
func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, collected := 0, 0
		trouble := errors.New("a secret")
		handler := monitor.Beside(http.NotFoundHandler(), monitor.Config{
			Ready:   func(context.Context) error { asked++; return trouble },
			Collect: func(context.Context, *monitor.Page) error { collected++; return errors.New("for the owner") },
		})
		get := func(path string, want int, body string) {
			t.Helper()
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			if got := answer.Body.String(); answer.Code != want || !strings.Contains(got, body) || strings.Contains(got, "secret") {
				t.Errorf("%s: %d %q", path, answer.Code, got)
			}
		}
		for range 100 {
			get("/readyz", 503, "not ready\n")
			get("/healthz", 200, "ok\n")
		}
		trouble = nil
		get("/readyz", 503, "not ready\n")
		time.Sleep(time.Second)
		get("/readyz", 200, "ready\n")
		get("/elsewhere", 404, "")
		if asked != 2 || collected != 0 {
			t.Errorf("asked %d times, collected %d times", asked, collected)
		}
		get("/metrics", 500, "for the owner")
		if collected != 1 {
			t.Errorf("collected %d times", collected)
		}
	})
}
