package e2e

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// flood opens connections from an address of its own as fast as it can and keeps them. It prints how many the
// other side reset.
func flood(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flood ADDRESS NUMBER")
	}
	number, err := strconv.Atoi(args[1])
	ts.Check(err)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}, Timeout: maxWait}
	held := make(chan net.Conn, number)
	var dialling sync.WaitGroup
	for range 64 {
		dialling.Go(func() {
			for range number / 64 {
				c, err := dialer.Dial("tcp4", args[0])
				if err != nil {
					continue // refused before it was open, which is as well
				}
				held <- c
			}
		})
	}
	dialling.Wait()
	close(held)
	opened := make([]net.Conn, 0, number)
	for c := range held {
		opened = append(opened, c)
	}
	var reset atomic.Int64
	var reading sync.WaitGroup
	for _, c := range opened {
		reading.Go(func() {
			c.SetReadDeadline(time.Now().Add(2 * time.Second)) // the refusals are there long before
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, syscall.ECONNRESET) {
				reset.Add(1)
			}
		})
	}
	reading.Wait()
	ts.Defer(func() {
		for _, c := range opened {
			c.Close()
		}
	})
	fmt.Fprintf(ts.Stdout(), "%d open\n", len(opened)-int(reset.Load()))
}
