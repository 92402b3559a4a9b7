package monitor

import "slices"

// others adds up the numbers of those that have none of their own.
//
// A sum of counters would fall whenever one of these goes, and to Prometheus a counter that falls has begun anew: it
// would see all that was ever counted a second time. So the sum is of what each has grown by since the last scrape.
type others struct {
	last   map[string]float64 // counters of all owners, since one may lose its own number
	totals map[string]*series // of counters
}

// fold returns the numbers to tell, of those on a page.
func (o *others) fold(page map[string]*series) (told []*series) {
	counters, sums := make(map[string]float64), make(map[string]*series)
	if o.totals == nil {
		o.totals = make(map[string]*series)
	}
	for key, s := range page {
		if s.Many && s.Kind == Counter {
			counters[key] = s.value
		}
		switch {
		case s.own:
			told = append(told, s)
		case s.Apart:
		case s.Kind == Counter:
			grown := s.value
			if before := o.last[key]; before <= s.value { // otherwise it began anew
				grown -= before
			}
			sumOf(o.totals, s).value += grown
		default:
			sumOf(sums, s).value += s.value
		}
	}
	o.last = counters
	for _, all := range []map[string]*series{o.totals, sums} {
		for _, s := range all {
			told = append(told, s)
		}
	}
	return told
}

// sumOf returns the number among sums that has the ones like s in it.
func sumOf(sums map[string]*series, s *series) *series {
	sum := sums[s.Name]
	if sum == nil {
		sum = &series{Metric: s.Metric, values: slices.Repeat([]string{Other}, len(s.values))}
		sums[s.Name] = sum
	}
	return sum
}
