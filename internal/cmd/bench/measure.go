package main

import (
	"context"
	"slices"
	"time"
)

// measurement is something measured for every contender. It yields one value for each of its rows.
type measurement struct {
	name string
	rows []row
	run  func(ctx context.Context, t *trial) (values, error)

	// exposes says how the service is made public.
	exposes exposure
	// link is the network that it takes place on; nil for loopback.
	link *linkSettings
	// event happens once, to all contenders at the same time, while run is running.
	event func(ctx context.Context, n *network) error
	// limit is how long it may take; measureLimit by default.
	limit time.Duration
}

const measureLimit = time.Minute

// row is a line of the table.
type row struct {
	key    string // unique among all rows
	title  string
	unit   unit
	better direction
}

// direction says which of two values is the better one.
type direction string

const (
	higher direction = "more is better"
	lower  direction = "less is better"
	exact  direction = "the nearer to 0 the better"
)

// values are what a measurement found, by the keys of its rows. A missing key was not found, either because
// there is nothing to find, or because of the accompanying error.
type values map[string]float64

// measurements is everything that is measured, in the order of the table.
func measurements() []measurement {
	return slices.Concat(onLoopback(), overUDP(), overHTTP(), onLink())
}

func seconds(d time.Duration) float64      { return d.Seconds() }
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
