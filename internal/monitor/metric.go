package monitor

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"apquic/quicproxy/live"
)

// Kind is what the numbers of a metric do.
type Kind int

const (
	Gauge   Kind = iota // they rise and fall
	Counter             // they rise, unless what they count begins anew
)

const (
	// maxOwn is how many nodes, or services, have numbers of their own. Each costs whoever keeps the numbers for months.
	maxOwn = 500
	// Other is the label of all the rest. It cannot be the name of a node.
	Other = "(other)"
)

// Metric is what there is a number of, or one for each value of its labels.
type Metric struct {
	Name, Help string
	Kind       Kind
	Labels     []string
	// Many: the labels say whose number it is, and nothing bounds how many these are. The first ones of a page have
	// their own, and the rest are added up as Other.
	Many bool
	// Apart: to add them up means nothing, so the rest have none.
	Apart bool
	// Foreign: anybody could become the owner, and another one each day, so it is among the rest.
	Foreign bool
}

// Page has the numbers of one scrape.
type Page struct {
	own    map[string]map[string]bool // by the names of labels, the values that have numbers of their own
	series map[string]*series
}

// series is one number of a page.
type series struct {
	Metric
	values    []string // of the labels
	value     float64
	histogram *live.Histogram // nil: value counts
	own       bool
}

func newPage() *Page {
	return &Page{own: make(map[string]map[string]bool), series: make(map[string]*series)}
}

// Add adds a number, to the one that is already there for the same labels. Add the most important owners first.
func (p *Page) Add(m Metric, value float64, labels ...string) { p.at(m, labels).value += value }

// AddHistogram does the same with a distribution, which comes once.
func (p *Page) AddHistogram(m Metric, h live.Histogram) { p.at(m, nil).histogram = &h }

// at returns the number for the labels, which others may have chosen.
func (p *Page) at(m Metric, labels []string) *series {
	values := make([]string, len(labels))
	for i, label := range labels {
		values[i] = strings.ToValidUTF8(label, "\ufffd")
	}
	key := m.Name + "\xff" + strings.Join(values, "\xff")
	s := p.series[key]
	if s == nil {
		s = &series{Metric: m, values: values, own: !m.Many || !m.Foreign && p.takeOwn(m.Labels, values)}
		p.series[key] = s
	}
	return s
}

// takeOwn reports whether an owner has numbers of its own; the same ones for all metrics.
func (p *Page) takeOwn(names, values []string) bool {
	of := strings.Join(names, "\xff")
	if p.own[of] == nil {
		p.own[of] = make(map[string]bool)
	}
	owner := strings.Join(values, "\xff")
	if !p.own[of][owner] && len(p.own[of]) < maxOwn {
		p.own[of][owner] = true
	}
	return p.own[of][owner]
}

// told is the number as Prometheus has it.
func (s *series) told() prometheus.Metric {
	desc := prometheus.NewDesc(s.Name, s.Help, s.Labels, nil)
	kind := prometheus.GaugeValue
	if s.Kind == Counter {
		kind = prometheus.CounterValue
	}
	told, err := prometheus.NewConstMetric(desc, kind, s.value, s.values...)
	if h := s.histogram; h != nil {
		upTo, count := make(map[float64]uint64, len(h.Bounds)), uint64(0)
		for i, n := range h.Counts {
			count += n
			if i < len(h.Bounds) {
				upTo[h.Bounds[i]] = count
			}
		}
		told, err = prometheus.NewConstHistogram(desc, count, h.Sum, upTo, s.values...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return told
}
