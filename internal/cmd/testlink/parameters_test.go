//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

func TestParameters(t *testing.T) {
	got, err := defaults.with("delay=25ms loss=0.01 rate=50mbit queue=64k mtu=1400 seed=7 down")
	want := parameters{delay: 25 * time.Millisecond, loss: 0.01, rate: 50e6, queue: 64 << 10, mtu: 1400, seed: 7, down: true}
	if err != nil || got != want {
		t.Errorf("got %+v (%v), not %+v", got, err, want)
	}
	got, err = got.with("up rate=0")
	want.rate, want.down = 0, false
	if err != nil || got != want {
		t.Errorf("a second line made %+v (%v), not %+v", got, err, want)
	}
}

func TestWrongParameters(t *testing.T) {
	for line, complaint := range map[string]string{
		"sideways":     `no "sideways"`,
		"delay=25":     "missing unit",
		"rate=5apples": `unknown unit "apples"`,
		"queue=":       "invalid syntax",
		"loss=2":       "not between 0 and 1",
		"delay=-1s":    "negative",
	} {
		if _, err := defaults.with(line); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%s: %v, not %s", line, err, complaint)
		}
	}
}
