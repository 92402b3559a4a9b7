//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parameters are the properties of a link, the same in both directions.
type parameters struct {
	delay time.Duration // from the end of sending to the arrival
	rate  int64         // bits per second; 0: no limit
	queue int64         // bytes that may wait to be sent; more are dropped. Without a rate nothing waits
	loss  float64       // the share of packets that get lost, 0 to 1
	mtu   int           // longer packets disappear silently
	seed  uint64        // decides which packets get lost
	down  bool          // the cable is cut
}

var defaults = parameters{queue: 256 << 10, mtu: 1500}

// with returns p with the changes of a line.
func (p parameters) with(line string) (parameters, error) {
	for _, word := range strings.Fields(line) {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "up", "down":
			p.down = key == "down"
		case "delay":
			p.delay, err = time.ParseDuration(value)
		case "rate":
			p.rate, err = parseUnits(value, map[string]int64{"bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9})
		case "queue":
			p.queue, err = parseUnits(value, map[string]int64{"k": 1 << 10, "m": 1 << 20})
		case "loss":
			p.loss, err = strconv.ParseFloat(value, 64)
		case "mtu":
			p.mtu, err = strconv.Atoi(value)
		case "seed":
			p.seed, err = strconv.ParseUint(value, 10, 64)
		default:
			err = fmt.Errorf("a link has no %q", key)
		}
		if err != nil {
			return p, fmt.Errorf("%s: %w", word, err)
		}
	}
	return p, p.check()
}

func (p parameters) check() error {
	switch {
	case p.delay < 0, p.rate < 0, p.queue < 0, p.mtu < 0:
		return fmt.Errorf("negative: %+v", p)
	case p.loss < 0 || p.loss > 1:
		return fmt.Errorf("the loss %v is not between 0 and 1", p.loss)
	}
	return nil
}

// parseUnits reads a number that may be followed by a unit.
func parseUnits(text string, units map[string]int64) (int64, error) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	factor := int64(1)
	if unit := text[len(digits):]; unit != "" {
		if factor = units[unit]; factor == 0 {
			return 0, fmt.Errorf("unknown unit %q", unit)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n * factor, err
}
