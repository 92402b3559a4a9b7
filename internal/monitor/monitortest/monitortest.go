// Package monitortest is for tests of what programs say at /metrics.
package monitortest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"apquic/internal/monitor"
)

// Scrape returns what there is at /metrics. What is said there must keep Prometheus' conventions for names.
func Scrape(t testing.TB, c monitor.Config) string {
	t.Helper()
	answer := httptest.NewRecorder()
	monitor.Beside(http.NotFoundHandler(), c).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, monitor.Path, nil))
	text := answer.Body.String()
	if answer.Code != http.StatusOK {
		t.Fatalf("%d: %s", answer.Code, text)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "apquic_") { // others are of the library
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	return text
}

// Documented compares the metrics on a page with the rows of a table in a document: | `name` | kind | ....
func Documented(t testing.TB, page, document, prefix string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `("+prefix+"\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(text), -1) {
		rows[row[1]] = row[2]
	}
	for _, kind := range regexp.MustCompile(`(?m)^# TYPE (`+prefix+`\w+) (\w+)$`).FindAllStringSubmatch(page, -1) {
		if rows[kind[1]] != kind[2] {
			t.Errorf("%s has no row for the %s %s", document, kind[2], kind[1])
		}
		delete(rows, kind[1])
	}
	for name := range rows {
		t.Errorf("%s names %s, which does not exist", document, name)
	}
}
