package rules

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"apquic/internal/domain"
	"apquic/internal/size"
	"apquic/lease"
)

// Limit is a value, and the rule that says it.
type Limit[T any] struct {
	Value T
	By    string // empty: no rule says anything
}

// Limits are what rules say about a node. Those of the server's settings have the same names, and hold where no rule
// says anything.
type Limits struct {
	Expires              Limit[time.Time]       // from then on the node may have nothing; zero: never
	Ports                Limit[lease.PortRange] // of which it may have some, if they are the server's; zero: none
	Domains              Limit[[]string]        // which it may have; Everyone stands for all
	Protocols            Limit[[]string]        // of its public services: TCP, UDP
	MaxServices          Limit[int]
	LeaseTime            Limit[time.Duration]
	MaxClients           Limit[int]
	MaxClientsPerAddress Limit[int]
	MaxClientRate        Limit[int]   // 0: as many as come
	MaxRateIn            Limit[int64] // bytes per second; 0: as many as come
	MaxRateOut           Limit[int64]
	MaxMonthBytes        Limit[int64] // of a month in UTC, in both directions; 0: as many as come
}

// Decision is what holds for one limit of a node, and why.
type Decision struct {
	Limit string `json:"limit"` // its key in a rule
	Value string `json:"value"`
	Rule  string `json:"rule,omitempty"` // missing: the settings of the server say so
}

// MonthBytes is the key of Limits.MaxMonthBytes.
const MonthBytes = "maxMonthBytes"

// TCP and UDP are the protocols.
const TCP, UDP = "tcp", "udp"

const (
	maxCount   = 1_000_000
	maxDomains = 1024
	// maxLeaseTime is that of the settings.
	maxLeaseTime = 10 * 365 * 24 * time.Hour
	never        = "never"
)

// row is one of the limits, of whatever type.
type row interface {
	name() string
	by() string
	fill(from row)
	text() string
	check() error
}

// typed is a row: a limit, with what its type knows.
type typed[T any] struct {
	key string
	*Limit[T]
	show  func(T) string
	wrong func(T) error
}

func (r typed[T]) name() string { return r.key }
func (r typed[T]) by() string   { return r.By }
func (r typed[T]) text() string { return r.show(r.Value) }
func (r typed[T]) check() error { return r.wrong(r.Value) }

func (r typed[T]) fill(from row) {
	if r.By == "" {
		*r.Limit = *from.(typed[T]).Limit
	}
}

// rows are the limits by their keys, in the order in which people read them.
func (l *Limits) rows() []row {
	return []row{
		typed[time.Time]{"expires", &l.Expires, showTime, fine[time.Time]},
		typed[lease.PortRange]{"ports", &l.Ports, showPorts, fine[lease.PortRange]},
		typed[[]string]{"domains", &l.Domains, showList, checkDomains},
		typed[[]string]{"protocols", &l.Protocols, showList, checkProtocols},
		typed[int]{"maxServices", &l.MaxServices, strconv.Itoa, between(1, 65535)},
		typed[time.Duration]{"leaseTime", &l.LeaseTime, time.Duration.String, checkLeaseTime},
		typed[int]{"maxClients", &l.MaxClients, strconv.Itoa, between(1, maxCount)},
		typed[int]{"maxClientsPerAddress", &l.MaxClientsPerAddress, strconv.Itoa, between(1, maxCount)},
		typed[int]{"maxClientRate", &l.MaxClientRate, unlimited(strconv.Itoa), between(0, maxCount)},
		typed[int64]{"maxRateIn", &l.MaxRateIn, unlimited(showRate), size.CheckRate},
		typed[int64]{"maxRateOut", &l.MaxRateOut, unlimited(showRate), size.CheckRate},
		typed[int64]{MonthBytes, &l.MaxMonthBytes, unlimited(showBytes), size.CheckAmount},
	}
}

// fill takes from others what nothing is said about yet.
func (l *Limits) fill(from Limits) {
	others := from.rows()
	for i, r := range l.rows() {
		r.fill(others[i])
	}
}

// Said yields the limits about which something is said, by their keys.
func (l Limits) Said() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for _, r := range l.rows() {
			if r.by() != "" && !yield(r.name(), r.text()) {
				return
			}
		}
	}
}

func (l Limits) saysAnything() bool {
	for range l.Said() {
		return true
	}
	return false
}

// Explain says what holds for a node about which rules say this, under these settings of the server.
func (l Limits) Explain(settings Limits) (decisions []Decision) {
	others := settings.rows()
	for i, r := range l.rows() {
		d := Decision{Limit: r.name(), Rule: r.by(), Value: others[i].text()}
		if d.Rule != "" {
			d.Value = r.text()
		}
		decisions = append(decisions, d)
	}
	return decisions
}

// Check returns what is wrong with limits of which all are those of one rule.
func (l Limits) Check(rule string) error {
	for _, r := range l.rows() {
		switch {
		case r.by() == "":
			continue
		case r.by() != rule:
			return fmt.Errorf("%s is said by %q", r.name(), r.by())
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("%s: %w", r.name(), err)
		}
	}
	return nil
}

func fine[T any](T) error { return nil }

func between(least, most int) func(int) error {
	return func(n int) error {
		if n < least || n > most {
			return fmt.Errorf("%d is not from %d to %d", n, least, most)
		}
		return nil
	}
}

func checkLeaseTime(d time.Duration) error {
	if d < time.Second || d > maxLeaseTime {
		return fmt.Errorf("%v is not from a second to ten years", d)
	}
	return nil
}

func checkDomains(all []string) error {
	if len(all) > maxDomains {
		return fmt.Errorf("there are %d names, of %d at most", len(all), maxDomains)
	}
	for _, name := range all {
		if err := domain.Check(name); name != Everyone && err != nil {
			return err
		}
	}
	return nil
}

func checkProtocols(all []string) error {
	for _, protocol := range all {
		if protocol != TCP && protocol != UDP {
			return fmt.Errorf("%.20q is neither %s nor %s", protocol, TCP, UDP)
		}
	}
	if len(all) == 0 {
		return errors.New("there are none")
	}
	return nil
}

func showTime(t time.Time) string {
	if t.IsZero() {
		return never
	}
	return t.UTC().Format(time.RFC3339)
}

func showPorts(r lease.PortRange) string { return cmp.Or(r.String(), "none") }

func showList(all []string) string {
	if slices.Contains(all, Everyone) {
		return "all"
	}
	return cmp.Or(strings.Join(all, ", "), "none")
}

func showBytes(n int64) string { return size.Size(n).String() }

func showRate(n int64) string { return size.Size(n).String() + "/s" }

// unlimited shows 0 as no limit.
func unlimited[T int | int64](show func(T) string) func(T) string {
	return func(n T) string {
		if n == 0 {
			return "no limit"
		}
		return show(n)
	}
}

// Spent is the rule by which a node, of which so many bytes have passed in this month, has none left; empty: it has.
func (l Limits) Spent(used uint64) (rule string) {
	if l.MaxMonthBytes.Value > 0 && used >= uint64(l.MaxMonthBytes.Value) {
		return l.MaxMonthBytes.By
	}
	return ""
}
