package totals

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"apquic/certs"
	"apquic/internal/usage"
	"apquic/lease"
)

// bounds are how much is kept.
type bounds struct {
	days     int // of which there are rows: the newest ones
	months   int
	rows     int // of all days, and of nodes in all months
	services int // of a node on a day; all others are counted together
	waiting  int // rows that are to be written
}

var usual = bounds{days: 400, months: 14, rows: 200_000, services: 64, waiting: 20_000}

// Totals keep what passes. They implement usage.Ledger.
type Totals struct {
	most bounds
	path string
	log  *slog.Logger

	file    sync.Mutex // one access at a time; taken before mu
	db      *bbolt.DB  // nil: nothing is written
	opened  *os.File   // that of db, or of the one before
	refused refusal    // zero: the file was not refused when it was opened last
	stored  stored     // what the file has
	failed  bool       // the last write did
	closed  bool       // for good
	settle  func()     // has Add called with what passed since; nil: there is no server

	mu      sync.Mutex
	now     Day                     // to which Add adds
	month   Day                     // the first of it
	used    map[certs.NodeID]uint64 // in that month
	pending map[Row]usage.Counts    // not written yet
	alone   map[Row]int             // how many services of a node in pending are counted alone, by their day and node
}

// Open opens the file of totals, or makes it for its owner alone, and checks everything in it. If that fails, it logs
// why: totals are kept in memory, and written once the file can be.
func Open(path string, log *slog.Logger) *Totals {
	t := newTotals(path, log, usual)
	if err := t.open(); err != nil {
		t.report(err)
	}
	return t
}

func newTotals(path string, log *slog.Logger, most bounds) *Totals {
	t := &Totals{most: most, path: path, log: log, now: DayOf(time.Now())}
	t.month = t.now.first()
	t.used, t.pending, t.alone = make(map[certs.NodeID]uint64), make(map[Row]usage.Counts), make(map[Row]int)
	return t
}

// Add implements usage.Ledger.
func (t *Totals) Add(key lease.Key, n usage.Counts) {
	if n == (usage.Counts{}) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.used[key.Node]; (known || len(t.used) < t.most.rows) && !key.IsGroup() && n.Bytes() > 0 {
		t.used[key.Node] += n.Bytes()
	}
	row := t.placeLocked(Row{t.now, key.Node, key.Service})
	t.pending[row] = t.pending[row].Plus(n)
}

// placeLocked returns the row to which something is added: that of all services of the node, or of all nodes, if there
// are too many of them.
func (t *Totals) placeLocked(row Row) Row {
	if _, there := t.pending[row]; there {
		return row
	}
	of := Row{Day: row.Day, Node: row.Node}
	if t.alone[of] >= t.most.services && !row.Node.IsZero() || len(t.pending) >= t.most.waiting {
		row = of
		if _, there := t.pending[row]; !there && len(t.pending) >= t.most.waiting {
			return Row{Day: row.Day}
		}
		return row
	}
	t.alone[of]++
	return row
}

// Month implements usage.Ledger.
func (t *Totals) Month(node certs.NodeID) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.used[node]
}

// take returns what is to be written, which is given back if that fails.
func (t *Totals) take() map[Row]usage.Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.pending
	t.pending, t.alone = make(map[Row]usage.Counts), make(map[Row]int)
	return taken
}

func (t *Totals) giveBack(taken map[Row]usage.Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for row, n := range taken {
		row = t.placeLocked(row)
		t.pending[row] = t.pending[row].Plus(n)
	}
}

// turn has Add add to the day of a time from now on. When that is in another month, nothing is used of that but what
// the file knows.
func (t *Totals) turn(now time.Time) error {
	t.mu.Lock()
	t.now = DayOf(now)
	same := t.month == t.now.first()
	t.mu.Unlock()
	if same {
		return nil
	}
	return t.loadMonth()
}

// loadMonth reads what was used in the month.
func (t *Totals) loadMonth() error {
	t.file.Lock()
	defer t.file.Unlock()
	err := t.loadMonthLocked()
	if errors.Is(err, errDamaged) {
		t.closeFile() // to use another one once it is there
	}
	return explain("reading", t.path, err)
}

// loadMonthLocked needs the lock of the file.
func (t *Totals) loadMonthLocked() error {
	t.mu.Lock()
	month := t.now.first()
	t.mu.Unlock()
	used, err := t.readMonth(month)
	t.mu.Lock()
	defer t.mu.Unlock()
	for row, n := range t.pending {
		if row.Day.first() == month && !row.Node.IsZero() && n.Bytes() > 0 {
			used[row.Node] += n.Bytes()
		}
	}
	if t.month == month { // the file may lack what it had: it was damaged, or too much waited to be written
		for node, n := range t.used {
			used[node] = max(used[node], n)
		}
	}
	t.month, t.used = month, used
	return err
}
