package main

import (
	"slices"
	"strings"
	"testing"
)

func names(contenders []contender) string {
	var all []string
	for _, c := range contenders {
		all = append(all, c.name)
	}
	return strings.Join(all, " ")
}

func contendersNamed(names ...string) (all []contender) {
	for _, name := range names {
		all = append(all, contender{name: name})
	}
	return all
}

func TestInOrder(t *testing.T) {
	all := contendersNamed("a", "b", "c")
	for run, want := range []string{"a b c", "c b a", "b c a", "a c b", "c a b", "b a c", "a b c"} {
		if got := names(inOrder(all, run)); got != want {
			t.Errorf("run %d: %s, want %s", run, got, want)
		}
	}
	if names(all) != "a b c" {
		t.Errorf("the contenders themselves were moved: %s", names(all))
	}
	if got := inOrder(nil, 3); len(got) != 0 {
		t.Errorf("nobody in order: %v", got)
	}
}

// TestOrderIsFair: of any two contenders each comes before the other in half of the runs, and over 2n runs
// each of n has every place twice.
func TestOrderIsFair(t *testing.T) {
	for _, all := range [][]contender{
		contendersNamed("a"), contendersNamed("a", "b"), contendersNamed("a", "b", "c"), contendersNamed("a", "b", "c", "d", "e", "f", "g"),
	} {
		before, places := map[[2]string]int{}, map[string][]int{}
		for run := range 2 * len(all) {
			order := inOrder(all, run)
			for i, c := range order {
				places[c.name] = append(places[c.name], i)
				for _, later := range order[i+1:] {
					before[[2]string{c.name, later.name}]++
				}
			}
			if run%2 == 1 && !balanced(before) {
				t.Errorf("%d contenders, %d runs: in front of another one %v", len(all), run+1, before)
			}
		}
		for name, had := range places {
			slices.Sort(had)
			for i, place := range had {
				if place != i/2 {
					t.Errorf("%d contenders: %s had the places %v", len(all), name, had)
					break
				}
			}
		}
	}
}

func balanced(before map[[2]string]int) bool {
	for pair, n := range before {
		if before[[2]string{pair[1], pair[0]}] != n {
			return false
		}
	}
	return true
}

// TestRunsMeasureInTheirOrder: a bench that cannot even start the service reports a failure for each
// contender, in the order in which it tries them.
func TestRunsMeasureInTheirOrder(t *testing.T) {
	var said strings.Builder
	b := &bench{
		runs: 4, progress: &said, self: "there-is-no-such-program", contenders: contendersNamed("one", "two"),
		measurements: []measurement{{name: "m", rows: []row{{key: "m"}}}},
	}
	b.run(t.Context())
	var measured []string
	for line := range strings.Lines(said.String()) {
		_, rest, _ := strings.Cut(line, ": m: ")
		name, _, _ := strings.Cut(rest, ",")
		measured = append(measured, name)
	}
	if got := strings.Join(measured, " "); got != "one two two one two one one two" {
		t.Errorf("they were measured in the order %q:\n%s", got, &said)
	}
}
