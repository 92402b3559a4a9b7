// Package changes says in words how the settings of a program differ from those of a while ago.
//
// It must not know what a setting is for.
package changes

import (
	"cmp"
	"fmt"
)

// Line is one line of a description. Unseen differs when something does that is not shown.
type Line struct{ Key, Value, Unseen string }

// Change is a setting that differs from the one in use.
type Change struct {
	What string // its key, with what it was and is, without secrets
	Live bool   // it can change while the program runs; otherwise it needs a restart
}

// Of says what differs between two descriptions of a setting, of which one at least does; unset stands for no value.
func Of(setting, unset string, live bool, before, after []Line) (all []Change) {
	add := func(l Line, what string) { all = append(all, Change{setting + l.Key + ": " + what, live}) }
	was := make(map[string]Line)
	for _, l := range before {
		was[l.Key] = l
	}
	for _, l := range after {
		old, had := was[l.Key]
		delete(was, l.Key)
		switch {
		case !had:
			add(l, "added, "+l.Value)
		case old.Value != l.Value:
			add(l, fmt.Sprintf("%s -> %s", cmp.Or(old.Value, unset), cmp.Or(l.Value, unset)))
		case old != l:
			add(l, "changed")
		}
	}
	for _, l := range before {
		if _, gone := was[l.Key]; gone {
			add(l, "removed")
		}
	}
	if len(all) == 0 {
		add(Line{}, "changed")
	}
	return all
}
