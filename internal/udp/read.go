package udp

import (
	"errors"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	// grace is how long an older socket is read after a newer one has received something.
	grace = 2 * time.Second
	// quickRetries is how many consecutive read errors are retried without a pause.
	quickRetries = 3
	// firstPause and maxPause are the pauses between further retries.
	firstPause, maxPause = time.Millisecond, time.Second
	// wsaEMSGSIZE is Windows' error for a datagram longer than the buffer. Anybody can send one.
	wsaEMSGSIZE = syscall.Errno(10040)
)

// turn tells the reader what to do next: read the socket, or take late datagrams from an older one. The two
// alternate while both have something, so that a busy old path cannot hide what comes on the new one.
func (c *Conn) turn() (*socket, *batch, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, c.fail("read", net.ErrClosed)
	}
	if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		return nil, nil, c.fail("read", os.ErrDeadlineExceeded)
	}
	if c.serving {
		c.serving = false
		c.slot <- struct{}{}
	}
	if b := c.late; b != nil {
		c.late, c.serving = nil, true
		return nil, b, nil
	}
	// Only the reader knows that it has left a socket, so the reader hands it over.
	for _, s := range c.older {
		if !s.forwarded {
			s.forwarded = true
			s.SetReadDeadline(s.expiry)
			c.forwarders.Go(func() { c.forward(s) })
		}
	}
	s := c.newest.Load()
	if s.disturbed {
		s.disturbed = false
		s.SetReadDeadline(c.deadline)
	}
	return s, nil, nil
}

// receive waits for datagrams, whatever happens to the sockets.
func (c *Conn) receive() (*batch, error) {
	for {
		s, late, err := c.turn()
		if late != nil || err != nil {
			return late, err
		}
		b, err := s.receive()
		if err == nil {
			c.received(s)
			return b, nil
		}
		c.readFailed(s, err)
	}
}

// received notes that the reader has got something from s.
func (c *Conn) received(s *socket) {
	c.failures = 0
	c.seenOn(s)
}

// seenOn lets the older sockets expire when the newest first receives something, because the peer then knows
// it. The kept ones received something before.
func (c *Conn) seenOn(s *socket) {
	if s.seen.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.seen.Store(true)
	for _, o := range c.older {
		if o.expiry.IsZero() {
			o.expiry = time.Now().Add(grace)
			if o.forwarded {
				o.SetReadDeadline(o.expiry)
			}
		}
	}
}

// readFailed decides what an error means for the reader, which then asks for its turn again. If there are too
// many it returns after a pause.
func (c *Conn) readFailed(s *socket, err error) {
	if errors.Is(err, wsaEMSGSIZE) {
		return
	}
	c.mu.Lock()
	timeout := errors.Is(err, os.ErrDeadlineExceeded)
	if timeout {
		s.disturbed = true // even if it was our deadline: clocks may differ, which must not cause a busy loop
	}
	over := c.closed || s != c.newest.Load()
	deadline := c.deadline
	c.mu.Unlock()
	if timeout || over {
		return
	}
	c.trouble.Add(1)
	c.failures++
	if c.failures < quickRetries {
		return
	}
	pause := min(firstPause<<min(c.failures-quickRetries, 20), maxPause)
	if !deadline.IsZero() {
		pause = min(pause, time.Until(deadline))
	}
	if pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.woken:
	}
}

// forward hands what an older socket receives to the reader, until the socket expires or fails.
func (c *Conn) forward(s *socket) {
	defer c.remove(s)
	for failures := 0; failures < quickRetries; {
		b, err := s.receive()
		switch {
		case err == nil:
			failures = 0
			if !c.handOver(s, b) {
				b.release()
				return
			}
		case errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded):
			return
		case !errors.Is(err, wsaEMSGSIZE):
			failures++
			c.trouble.Add(1)
		}
	}
}

// handOver waits until there is room for another late batch; meanwhile the system keeps what comes.
func (c *Conn) handOver(s *socket, b *batch) bool {
	select {
	case <-c.slot:
	case <-s.gone:
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = b
	if newest := c.newest.Load(); !newest.disturbed {
		newest.disturbed = true
		newest.SetReadDeadline(past)
	}
	c.wake()
	return true
}

func (c *Conn) remove(s *socket) {
	c.mu.Lock()
	c.older = slices.DeleteFunc(c.older, func(o *socket) bool { return o == s })
	c.mu.Unlock()
	s.close()
}
