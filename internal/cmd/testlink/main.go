//go:build linux

// Testlink is a network link for tests: a long, slow, lossy cable between two network namespaces. It makes
// two TUN devices and carries IP packets between them with a delay, a rate, a queue and losses, which may
// change while it runs.
//
//	testlink DEVICE DEVICE
//
// creates the devices in its own namespace and prints "ready"; whoever started it moves them to where they
// belong. Then each line on stdin changes some of the link's properties (see parameters), in both directions,
// and is answered with one line, "ok" or "error: " and why:
//
//	delay=25ms loss=0.01 rate=50mbit queue=256k mtu=1400 seed=7
//	down
//	up
//
// It ends, together with the devices, when stdin does. It is for kernels without netem, and must not import
// anything of this module or look into packets.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: testlink DEVICE DEVICE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run carries packets until commands ends.
func run(left, right string, commands io.Reader, answers io.Writer) error {
	a, err := openTUN(left)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := openTUN(right)
	if err != nil {
		return err
	}
	defer b.Close()
	directions := []*pump{newPump(a, b, nanosleep), newPump(b, a, nanosleep)}
	var pumping sync.WaitGroup
	for _, p := range directions {
		pumping.Go(p.run)
	}
	fmt.Fprintln(answers, "ready")
	err = obey(commands, answers, directions)
	err = errors.Join(err, a.Close(), b.Close())
	pumping.Wait()
	return err
}

// obey executes the lines of commands.
func obey(commands io.Reader, answers io.Writer, directions []*pump) error {
	now := defaults
	for lines := bufio.NewScanner(commands); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		changed, err := now.with(lines.Text())
		if err != nil {
			fmt.Fprintln(answers, "error:", err)
			continue
		}
		now = changed
		for i, p := range directions {
			p.set(now, uint64(i))
		}
		fmt.Fprintln(answers, "ok")
	}
}
