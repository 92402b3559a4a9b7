//go:build linux

package main

import (
	"math/rand/v2"
	"time"
)

// cable calculates one direction of a link: which packets arrive, and when. It has no clock, since every time
// is passed in, and no lock.
//
// A packet waits until those before it are sent, takes its length divided by the rate to be sent, and arrives
// after the delay. Changes apply to packets sent after them; only a cut also affects those in flight. Packets
// arrive in the order in which they were sent.
type cable struct {
	parameters
	random *rand.Rand
	free   time.Time // when everything accepted is sent
	last   time.Time // when the last packet arrives
	onWay  fifo
}

type packet struct {
	data []byte
	due  time.Time
}

func newCable() *cable {
	c := &cable{}
	c.set(defaults, 0)
	return c
}

// set changes the parameters. The two directions of a link have different salts, so that they do not lose the
// same packets.
func (c *cable) set(p parameters, salt uint64) {
	if c.random == nil || p.seed != c.seed {
		c.random = rand.New(rand.NewPCG(p.seed, salt))
	}
	c.parameters = p
	if p.down {
		c.onWay = fifo{}
		c.free = time.Time{}
	}
}

// send sends a packet now and reports whether it will arrive.
func (c *cable) send(now time.Time, data []byte) bool {
	if c.down || len(data) > c.mtu {
		return false
	}
	start := now
	if c.free.After(now) {
		start = c.free
	}
	if c.rate > 0 {
		waiting := int64(start.Sub(now).Seconds() * float64(c.rate) / 8)
		if waiting+int64(len(data)) > c.queue {
			return false
		}
		start = start.Add(time.Duration(float64(len(data)) * 8 / float64(c.rate) * float64(time.Second)))
	}
	c.free = start
	if c.random.Float64() < c.loss {
		return false // after it took its time
	}
	if due := c.free.Add(c.delay); due.After(c.last) {
		c.last = due
	}
	c.onWay.push(packet{data, c.last})
	return true
}

// next returns when the next packet arrives; ok is false while none is in flight.
func (c *cable) next() (due time.Time, ok bool) {
	if c.onWay.len() == 0 {
		return time.Time{}, false
	}
	return c.onWay.front().due, true
}

// receive appends the packets that have arrived.
func (c *cable) receive(now time.Time, to [][]byte) [][]byte {
	for c.onWay.len() > 0 && !c.onWay.front().due.After(now) {
		to = append(to, c.onWay.pop().data)
	}
	return to
}

// fifo is a queue that reuses its memory.
type fifo struct {
	items []packet
	head  int
}

func (f *fifo) len() int      { return len(f.items) - f.head }
func (f *fifo) front() packet { return f.items[f.head] }

func (f *fifo) push(p packet) {
	if f.head > len(f.items)/2 { // moving each packet once or less
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, p)
}

func (f *fifo) pop() packet {
	p := f.items[f.head]
	f.items[f.head] = packet{}
	f.head++
	return p
}
