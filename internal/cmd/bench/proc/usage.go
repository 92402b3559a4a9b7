package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of CPU times in /proc, the same on all Linux platforms that Go knows.
const tick = 10 * time.Millisecond

// Usage is what processes have used.
type Usage struct {
	CPU    time.Duration // user and system time since their start
	Memory int64         // bytes in RAM now; what processes share is divided among them
}

// Minus is what was used between before and u.
func (u Usage) Minus(before Usage) Usage {
	return Usage{CPU: u.CPU - before.CPU, Memory: u.Memory - before.Memory}
}

// UsageOf adds up what processes have used.
func UsageOf(pids ...int) (total Usage, err error) {
	for _, pid := range pids {
		cpu, err := readCPU(pid)
		if err != nil {
			return total, err
		}
		memory, err := readMemory(pid)
		if err != nil {
			return total, err
		}
		total.CPU += cpu
		total.Memory += memory
	}
	return total, nil
}

func readCPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of a program: %w", err)
	}
	return parseCPU(stat)
}

// parseCPU reads /proc/PID/stat, see proc_pid_stat(5).
func parseCPU(stat []byte) (time.Duration, error) {
	// The second field is the name in parentheses, which may have spaces and parentheses itself.
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	const utime, stime = 14 - 3, 15 - 3 // counted from 1 in the manual; the third is our first
	if end < 0 || len(fields) <= stime {
		return 0, fmt.Errorf("not a line of /proc/PID/stat: %q", stat)
	}
	user, err := strconv.ParseInt(string(fields[utime]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[stime]), 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err, err2)
}

// readMemory prefers Pss, which divides pages that processes share, such as their program text, among them.
func readMemory(pid int) (int64, error) {
	if rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		return parseKilobytes(rollup, "Pss:")
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of a program: %w", err)
	}
	return parseKilobytes(status, "VmRSS:")
}

// parseKilobytes finds the line "KEY 123 kB" and returns its bytes.
func parseKilobytes(text []byte, key string) (int64, error) {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == key && string(fields[2]) == "kB" {
			n, err := strconv.ParseInt(string(fields[1]), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no %s there", key)
}
