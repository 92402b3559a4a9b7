//go:build linux

package main

import (
	"io"
	"sync"
	"time"
)

const (
	// bufferSize is more than any packet of a device needs.
	bufferSize = 2048
	// maxOnWay bounds the memory of a direction: 128 MiB. Beyond it the device's own queue fills.
	maxOnWay = 1 << 16
)

// pump carries packets from one device to another through a cable.
type pump struct {
	from  io.Reader
	to    io.Writer
	sleep func(time.Duration)

	mu      sync.Mutex
	changed sync.Cond // a packet was sent or received, or reading ended
	cable   *cable
	spare   [][]byte
	ended   bool
}

// newPump takes the sleep function to use, since the runtime's is a millisecond late.
func newPump(from io.Reader, to io.Writer, sleep func(time.Duration)) *pump {
	p := &pump{from: from, to: to, sleep: sleep, cable: newCable()}
	p.changed.L = &p.mu
	return p
}

func (p *pump) set(to parameters, salt uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cable.set(to, salt)
	p.changed.Broadcast() // a cut makes room
}

// run carries packets until reading fails.
func (p *pump) run() {
	var delivering sync.WaitGroup
	delivering.Go(p.deliver)
	for {
		buffer := p.buffer()
		n, err := p.from.Read(buffer)
		if err != nil {
			break
		}
		p.send(buffer[:n])
	}
	p.mu.Lock()
	p.ended = true
	p.changed.Broadcast()
	p.mu.Unlock()
	delivering.Wait()
}

// buffer waits until there is room for another packet.
func (p *pump) buffer() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.cable.onWay.len() >= maxOnWay {
		p.changed.Wait()
	}
	if last := len(p.spare) - 1; last >= 0 {
		buffer := p.spare[last]
		p.spare = p.spare[:last]
		return buffer[:bufferSize]
	}
	return make([]byte, bufferSize)
}

func (p *pump) send(data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := p.cable.onWay.len() == 0
	if !p.cable.send(time.Now(), data) {
		p.spare = append(p.spare, data)
	} else if idle {
		p.changed.Broadcast()
	}
}

// deliver writes packets when they are due. As none overtakes another, nothing can shorten a sleep.
func (p *pump) deliver() {
	var arrived [][]byte
	for {
		due, ok := p.awaitPacket()
		if !ok {
			return
		}
		if wait := time.Until(due); wait > 0 {
			p.sleep(wait)
		}
		arrived = p.receive(arrived)
		for _, data := range arrived {
			p.to.Write(data) // fails while the device is down, just as packets to a host that is off get lost
		}
	}
}

// awaitPacket waits for a packet in flight and returns its time of arrival; ok is false at the end.
func (p *pump) awaitPacket() (due time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.ended {
		if due, ok = p.cable.next(); ok {
			return due, true
		}
		p.changed.Wait()
	}
	return time.Time{}, false
}

// receive recycles the buffers of delivered packets and returns the packets that have arrived.
func (p *pump) receive(delivered [][]byte) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare = append(p.spare, delivered...)
	full := p.cable.onWay.len() >= maxOnWay
	arrived := p.cable.receive(time.Now(), delivered[:0])
	if full {
		p.changed.Broadcast()
	}
	return arrived
}
