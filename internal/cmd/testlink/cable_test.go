//go:build linux

package main

import (
	"slices"
	"testing"
	"time"
)

var start = time.Unix(1e9, 0)

func at(d time.Duration) time.Time { return start.Add(d) }

// laid returns a cable with the properties of a line.
func laid(t *testing.T, line string) *cable {
	t.Helper()
	c := newCable()
	change(t, c, line)
	return c
}

func change(t *testing.T, c *cable, line string) {
	t.Helper()
	p, err := c.with(line)
	if err != nil {
		t.Fatal(err)
	}
	c.set(p, 0)
}

// arrivals takes all packets out and returns how long after start each arrived.
func arrivals(c *cable) (after []time.Duration) {
	for {
		due, ok := c.next()
		if !ok {
			return after
		}
		for range c.receive(due, nil) {
			after = append(after, due.Sub(start))
		}
	}
}

func TestCableTimes(t *testing.T) {
	const ms = time.Millisecond
	type sent struct {
		after time.Duration
		size  int
	}
	burst := []sent{{0, 1000}, {0, 1000}, {0, 1000}, {0, 1000}}
	for _, test := range []struct {
		name, link string
		sent       []sent
		want       []time.Duration
	}{
		{"nothing set", "", burst, []time.Duration{0, 0, 0, 0}},
		{"delay", "delay=20ms", []sent{{0, 1}, {5 * ms, 1500}}, []time.Duration{20 * ms, 25 * ms}},
		{"rate", "rate=8mbit", burst, []time.Duration{1 * ms, 2 * ms, 3 * ms, 4 * ms}},
		{"rate and delay", "rate=8mbit delay=20ms", burst, []time.Duration{21 * ms, 22 * ms, 23 * ms, 24 * ms}},
		{"a pause is no credit", "rate=8mbit", []sent{{0, 1000}, {10 * ms, 1000}, {10 * ms, 500}}, []time.Duration{1 * ms, 11 * ms, 11*ms + ms/2}},
		{"a full queue", "rate=8mbit queue=2000", burst, []time.Duration{1 * ms, 2 * ms}},
		{"the queue drains", "rate=8mbit queue=2000", append(burst, sent{1 * ms, 1000}, sent{1 * ms, 1000}), []time.Duration{1 * ms, 2 * ms, 3 * ms}},
		{"too long", "mtu=1400", []sent{{0, 1400}, {1 * ms, 1401}, {2 * ms, 20}}, []time.Duration{0, 2 * ms}},
		{"all lost", "loss=1", burst, nil},
		{"down", "down", burst, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := laid(t, test.link)
			for _, s := range test.sent {
				c.send(at(s.after), make([]byte, s.size))
			}
			if got := arrivals(c); !slices.Equal(got, test.want) {
				t.Errorf("arrived after %v, not after %v", got, test.want)
			}
		})
	}
}

// A lost packet took its time on the cable all the same.
func TestLossTakesTime(t *testing.T) {
	c := laid(t, "rate=8mbit loss=1")
	c.send(at(0), make([]byte, 1000))
	change(t, c, "loss=0")
	c.send(at(0), make([]byte, 1000))
	if got := arrivals(c); !slices.Equal(got, []time.Duration{2 * time.Millisecond}) {
		t.Errorf("arrived after %v", got)
	}
}

func TestLossIsSeeded(t *testing.T) {
	const packets = 10000
	arrived := func(seed string) (which []int) {
		c := laid(t, "loss=0.1 "+seed)
		for i := range packets {
			if c.send(at(0), nil) {
				which = append(which, i)
			}
		}
		return which
	}
	first := arrived("seed=7")
	if lost := packets - len(first); lost < packets*8/100 || lost > packets*12/100 {
		t.Errorf("%d of %d packets got lost, not 10 %%", lost, packets)
	}
	if !slices.Equal(first, arrived("seed=7")) {
		t.Error("the same seed lost other packets")
	}
	if slices.Equal(first, arrived("seed=8")) {
		t.Error("another seed lost the same packets")
	}
}

func TestCutTakesWhatIsOnItsWay(t *testing.T) {
	c := laid(t, "delay=20ms rate=8mbit")
	c.send(at(0), make([]byte, 1000))
	change(t, c, "down")
	change(t, c, "up")
	c.send(at(0), make([]byte, 1000))
	if got := arrivals(c); !slices.Equal(got, []time.Duration{21 * time.Millisecond}) {
		t.Errorf("arrived after %v", got)
	}
}

func TestNothingOvertakes(t *testing.T) {
	c := laid(t, "delay=20ms")
	c.send(at(0), nil)
	change(t, c, "delay=1ms")
	c.send(at(time.Millisecond), nil)
	c.send(at(30*time.Millisecond), nil)
	want := []time.Duration{20 * time.Millisecond, 20 * time.Millisecond, 31 * time.Millisecond}
	if got := arrivals(c); !slices.Equal(got, want) {
		t.Errorf("arrived after %v, not after %v", got, want)
	}
}

func TestFIFO(t *testing.T) {
	var f fifo
	pushed, popped := 0, 0
	for round := range 1000 {
		for range round % 7 {
			f.push(packet{due: at(time.Duration(pushed))})
			pushed++
		}
		for range min(round%5, f.len()) {
			if got := f.pop().due; got != at(time.Duration(popped)) {
				t.Fatalf("packet %d came out as %v", popped, got.Sub(start))
			}
			popped++
		}
	}
	if f.len() != pushed-popped {
		t.Errorf("%d are left, not %d", f.len(), pushed-popped)
	}
}
