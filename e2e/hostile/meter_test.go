//go:build linux

package hostile

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// cost is what a program has taken from its machine.
type cost struct {
	memory      int64 // bytes resident now
	peak        int64 // bytes resident at most
	descriptors int
	log         int   // bytes
	written     int64 // bytes to files, as the program asked
	cpu         time.Duration
}

func (c cost) String() string {
	return fmt.Sprintf("%d MB now, %d MB at most, %d descriptors, %d B of log, %d B written, %v of CPU",
		c.memory>>20, c.peak>>20, c.descriptors, c.log, c.written, c.cpu)
}

// minus is what was taken between before and c.
func (c cost) minus(before cost) cost {
	return cost{c.memory - before.memory, c.peak - before.memory, c.descriptors - before.descriptors,
		c.log - before.log, c.written - before.written, c.cpu - before.cpu}
}

// cost reads what the program costs now.
func (p *program) cost() cost {
	p.t.Helper()
	status, stat, io := p.proc("status"), p.proc("stat"), p.proc("io")
	descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the third of proc_pid_stat(5) is the first here
	return cost{
		memory: field(p.t, status, "VmRSS:") << 10, peak: field(p.t, status, "VmHWM:") << 10,
		descriptors: len(descriptors), log: len(p.log()), written: field(p.t, io, "write_bytes:"),
		cpu: time.Duration(number(p.t, fields[14-3])+number(p.t, fields[15-3])) * 10 * time.Millisecond,
	}
}

func (p *program) proc(file string) []byte {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file))
	if err != nil {
		p.t.Fatalf("%s has ended: %v\n%s", p.cmd.Path, err, tail(p.log()))
	}
	return text
}

// field is the number after key.
func field(t *testing.T, text []byte, key string) int64 {
	t.Helper()
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) >= 2 && string(fields[0]) == key {
			return number(t, fields[1])
		}
	}
	t.Fatalf("no %s in\n%s", key, text)
	return 0
}

func number(t *testing.T, digits []byte) int64 {
	t.Helper()
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// watch measures the memory of a program until stop is called, which returns the greatest growth above
// before.
func (p *program) watch(before cost) (stop func() int64) {
	ended, most := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
			if err == nil {
				peak = max(peak, field(p.t, status, "VmRSS:")<<10-before.memory)
			}
			select {
			case <-tick.C:
			case <-ended:
				most <- peak
				return
			}
		}
	}()
	return func() int64 { close(ended); return <-most }
}
