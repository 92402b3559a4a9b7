package admin

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/internal/totals"
	"apquic/internal/usage"
)

const (
	// defaultDays are those of an answer if nobody says which.
	defaultDays = 30
	// maxTotals is the most rows of an answer.
	maxTotals = 1000
)

// TotalsKept are the totals of a server: those of totals.Totals or totals.File.
type TotalsKept interface {
	Sum(q totals.Query) ([]totals.Total, error)
	Month(node certs.NodeID) uint64
	Export(w io.Writer) error
}

// Totals are what has passed on some days, in UTC.
type Totals struct {
	From  string       `json:"from"` // the first day
	To    string       `json:"to"`   // the last one
	Sum   usage.Counts `json:"sum"`  // of all rows
	Total int          `json:"total"`
	Rows  []Total      `json:"rows"` // the newest day first, then by node and service; without days the most bytes first
}

// Total is a row of it. It lacks what the rows are not to be told apart by.
type Total struct {
	Day     string       `json:"day,omitempty"`
	Node    certs.NodeID `json:"node,omitzero"`
	Name    string       `json:"name,omitempty"` // of the node
	Service string       `json:"service,omitempty"`
	Group   bool         `json:"group,omitempty"`  // it belongs to no single node
	Others  bool         `json:"others,omitempty"` // all services that were too many to be counted alone
	usage.Counts
}

// ListTotals implements Operations.
func (a *Authority) ListTotals(ctx context.Context, s Selection) (t Totals, err error) {
	which, names, err := a.selection(ctx, s)
	if err != nil {
		return t, err
	}
	q := totals.Query{Node: which.Node, Service: s.Service}
	if err := s.days(&q, time.Now()); err != nil {
		return t, err
	}
	if err := s.by(&q); err != nil {
		return t, err
	}
	t = Totals{From: q.From.String(), To: q.To.String(), Rows: []Total{}}
	if a.Totals == nil {
		return t, nil
	}
	sums, err := a.Totals.Sum(q)
	t.Total = len(sums)
	for i, sum := range sums {
		t.Sum = t.Sum.Plus(sum.Counts)
		if i < s.Skip || len(t.Rows) == maxTotals || s.Limit > 0 && len(t.Rows) == s.Limit {
			continue
		}
		row := Total{Node: sum.Node, Name: names[sum.Node], Service: sum.Service, Counts: sum.Counts}
		if q.ByDay {
			row.Day = sum.Day.String()
		}
		row.Others, row.Group = q.ByService && sum.Service == "", q.ByNode && sum.Node.IsZero()
		t.Rows = append(t.Rows, row)
	}
	return t, err
}

// days reads which ones are meant; by default the last ones until now.
func (s Selection) days(q *totals.Query, now time.Time) (err error) {
	q.To = totals.DayOf(now)
	if s.To != "" {
		if q.To, err = totals.ParseDay(s.To); err != nil {
			return fmt.Errorf("to: %w", err)
		}
	}
	q.From = q.To - min(q.To, defaultDays-1)
	if s.From != "" {
		if q.From, err = totals.ParseDay(s.From); err != nil {
			return fmt.Errorf("from: %w", err)
		}
	}
	return nil
}

// by reads what has rows of its own; by default everything.
func (s Selection) by(q *totals.Query) error {
	if s.By == "" {
		q.ByDay, q.ByNode, q.ByService = true, true, true
		return nil
	}
	words := strings.Split(s.By, ",")
	for word, field := range map[string]*bool{"day": &q.ByDay, "node": &q.ByNode, "service": &q.ByService} {
		*field = slices.Contains(words, word)
	}
	for _, word := range words {
		if !slices.Contains([]string{"day", "node", "service", "all"}, word) {
			return hint.Add(fmt.Errorf("there are no totals by %.20q", word), "want some of day, node and service, or all for one row")
		}
	}
	return nil
}
