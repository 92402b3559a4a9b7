package main

import (
	"slices"
	"strings"
	"sync"
)

// results collects what the runs found, by row and contender.
type results struct {
	mu    sync.Mutex
	cells map[cellKey]*cell
}

type cellKey struct{ row, contender string }

// cell is what all runs found for one row of one contender.
type cell struct {
	samples  []float64
	failures []string
}

func newResults() *results { return &results{cells: map[cellKey]*cell{}} }

// add takes what one run found. An error applies to all rows without a value.
func (r *results) add(m measurement, contender string, found values, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range m.rows {
		key := cellKey{row.key, contender}
		c := r.cells[key]
		if c == nil {
			c = new(cell)
			r.cells[key] = c
		}
		if value, ok := found[row.key]; ok {
			c.samples = append(c.samples, value)
		} else if err != nil {
			c.failures = append(c.failures, brief(err))
		}
	}
}

// cell returns an empty cell for what was not measured.
func (r *results) cell(row, contender string) cell {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.cells[cellKey{row, contender}]; c != nil {
		return *c
	}
	return cell{}
}

// measured reports whether there is anything in a row.
func (r *results) measured(row string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, c := range r.cells {
		if key.row == row && len(c.samples)+len(c.failures) > 0 {
			return true
		}
	}
	return false
}

// spread is the middle, the least and the greatest of some samples.
type spread struct{ median, min, max float64 }

// spreadOf wants at least one sample.
func spreadOf(samples []float64) spread {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	return spread{median: (sorted[(n-1)/2] + sorted[n/2]) / 2, min: sorted[0], max: sorted[n-1]}
}

// maxReason is how much of a reason fits into a table.
const maxReason = 60

// brief is the end of an error's text, where the cause is, without anything that would break a table.
func brief(err error) string {
	text := strings.NewReplacer("\n", " ", "|", "/").Replace(err.Error())
	runes := []rune(text)
	if len(runes) > maxReason {
		return "…" + string(runes[len(runes)-maxReason:])
	}
	return text
}
