// Package udp is the UDP socket under a quic.Transport: one that survives errors and can be replaced.
//
// quic-go takes every error of its socket except two as the end of all connections, and cannot change the
// socket. A Conn swallows the errors, and replaces its socket under the living connections (Swap). On Linux
// it also receives with UDP_GRO, which quic-go does not: one system call brings up to 64 KiB of one sender.
//
// Normally there is one socket, which is read without a goroutine, a channel or a timer in between. After a
// Swap each older socket has a goroutine, which hands late datagrams to the reader of the Conn.
//
// No mutex is held while reading or writing.
package udp

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxOlder is how many replaced sockets stay open among those that received something: the peer knows the
// last one, whose path may come back. The others are not needed.
const maxOlder = 2

// past is a deadline that wakes blocked calls.
var past = time.Unix(1, 0)

// Conn is a UDP socket that can be replaced. Only one goroutine at a time may read, as a quic.Transport does;
// everything else may be called concurrently.
type Conn struct {
	open       func() (net.PacketConn, error)
	face       net.PacketConn
	newest     atomic.Pointer[socket] // stored under mu
	trouble    atomic.Uint64
	last       lastDatagrams
	forwarders sync.WaitGroup

	woken    chan struct{} // ends the reader's pause
	slot     chan struct{} // a token: late is free
	failures int           // the reader's, consecutive

	mu                      sync.Mutex // guards the following, and the fields of sockets that say so
	closed                  bool
	older                   []*socket // oldest first
	late                    *batch    // what an older socket received and the reader has not yet taken
	serving                 bool      // the reader is reading late, and has the token of slot
	deadline                time.Time // of reads
	readBuffer, writeBuffer int       // 0: not set
}

// Open opens a socket with open, which is called again by each Swap.
func Open(open func() (net.PacketConn, error)) (*Conn, error) {
	c := &Conn{open: open, woken: make(chan struct{}, 1), slot: make(chan struct{}, 1)}
	c.slot <- struct{}{}
	pc, err := open()
	if err != nil {
		return nil, err
	}
	s, err := newSocket(pc)
	if err != nil {
		pc.Close()
		return nil, err
	}
	c.newest.Store(s)
	c.face = newFace(c, s)
	return c, nil
}

// PacketConn is for a quic.Transport. On Linux, over a *net.UDPConn, quic-go uses GSO, ECN and batches on it;
// elsewhere it is a plain one.
func (c *Conn) PacketConn() net.PacketConn { return c.face }

// Trouble counts the swallowed errors, a hint that the path does not work.
func (c *Conn) Trouble() uint64 { return c.trouble.Load() }

// Swap replaces the socket: from now on datagrams are sent from a new one. The old one is read until the new
// one has received something and a grace period for late datagrams has passed.
func (c *Conn) Swap() error {
	pc, err := c.open()
	if err != nil {
		return err
	}
	s, err := newSocket(pc)
	if err != nil {
		pc.Close()
		return err
	}
	surplus, err := c.replace(s)
	if surplus != nil {
		surplus.close()
	}
	return err
}

// replace returns the socket that must be closed: one too old, or s itself if it cannot be used.
func (c *Conn) replace(s *socket) (surplus *socket, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.newest.Load()
	if c.closed {
		return s, net.ErrClosed
	}
	if (s.udp == nil) != (old.udp == nil) {
		return s, fmt.Errorf("cannot replace %T by %T", old.PacketConn, s.PacketConn)
	}
	if c.readBuffer > 0 {
		setReadBuffer(s.PacketConn, c.readBuffer)
	}
	if c.writeBuffer > 0 {
		setWriteBuffer(s.PacketConn, c.writeBuffer)
	}
	copyOptions(s.PacketConn, old.PacketConn)
	s.disturbed = true // it does not have the deadline yet
	c.newest.Store(s)
	if !old.seen.Load() {
		surplus = old
	} else if c.older = append(c.older, old); len(c.older) > maxOlder {
		surplus = c.older[0]
		c.older = slices.Delete(c.older, 0, 1)
	}
	old.SetReadDeadline(past)
	old.SetWriteDeadline(past) // an interface that vanished may have left a writer waiting for room
	c.wake()
	return surplus, nil
}

// Close closes all sockets. Reads and writes return net.ErrClosed after it.
func (c *Conn) Close() error {
	c.mu.Lock()
	var open []*socket
	if !c.closed {
		open = append(c.older, c.newest.Load())
	}
	c.closed, c.older = true, nil
	c.wake()
	c.mu.Unlock()
	var errs []error
	for _, s := range open {
		errs = append(errs, s.close())
	}
	c.forwarders.Wait()
	return errors.Join(errs...)
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// sockets returns all open sockets, newest first.
func (c *Conn) sockets() []*socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	sockets := append(slices.Clone(c.older), c.newest.Load())
	slices.Reverse(sockets)
	return sockets
}

func (c *Conn) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// fail gives an error the form of package net's; quic-go asks whether it is temporary.
func (c *Conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: c.newest.Load().LocalAddr(), Err: err}
}
