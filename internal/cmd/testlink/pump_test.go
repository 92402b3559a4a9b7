//go:build linux

package main

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// inbox takes what a pump delivers, and when.
type inbox struct {
	packets []string
	times   []time.Time
}

func (i *inbox) Write(data []byte) (int, error) {
	i.packets = append(i.packets, string(data))
	i.times = append(i.times, time.Now())
	return len(data), nil
}

// running starts a pump. The returned function ends it and waits for that.
func running(line string) (p *pump, to *inbox, in io.Writer, end func()) {
	from, in := io.Pipe()
	to = new(inbox)
	p = newPump(from, to, time.Sleep)
	set, err := defaults.with(line)
	if err != nil {
		panic(err)
	}
	p.set(set, 0)
	done := make(chan struct{})
	go func() { defer close(done); p.run() }()
	return p, to, in, func() { from.Close(); <-done }
}

func TestPumpDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, to, in, end := running("delay=20ms")
		begin := time.Now()
		for _, data := range []string{"one", "two", "three"} {
			io.WriteString(in, data)
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		end()
		if got := strings.Join(to.packets, " "); got != "one two three" {
			t.Fatalf("got %q", got)
		}
		for i, arrived := range to.times {
			if want := 20*time.Millisecond + time.Duration(i)*5*time.Millisecond; arrived.Sub(begin) != want {
				t.Errorf("packet %d came after %v, not after %v", i, arrived.Sub(begin), want)
			}
		}
	})
}

func TestPumpDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, to, in, end := running("delay=20ms")
		io.WriteString(in, "on its way")
		time.Sleep(10 * time.Millisecond)
		p.set(parameters{down: true, mtu: 1500}, 0)
		io.WriteString(in, "too late")
		time.Sleep(time.Second)
		p.set(defaults, 0)
		io.WriteString(in, "up again")
		time.Sleep(time.Second)
		end()
		if got := strings.Join(to.packets, " "); got != "up again" {
			t.Errorf("got %q", got)
		}
	})
}

// A pump reads no more than it may hold, and forgets nothing of it.
func TestPumpIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, to, in, end := running("delay=1s")
		var sent atomic.Int64
		go func() {
			for sent.Load() < maxOnWay+10 {
				in.Write([]byte{1})
				sent.Add(1)
			}
		}()
		synctest.Wait()
		if sent.Load() != maxOnWay {
			t.Errorf("%d packets were taken, not %d", sent.Load(), maxOnWay)
		}
		time.Sleep(3 * time.Second)
		end()
		if len(to.packets) != maxOnWay+10 {
			t.Errorf("%d packets arrived, not %d", len(to.packets), maxOnWay+10)
		}
	})
}

func TestObey(t *testing.T) {
	p := newPump(nil, nil, nil)
	var answers bytes.Buffer
	if err := obey(strings.NewReader("delay=5ms\nsideways\nrate=1mbit\n"), &answers, []*pump{p}); err != nil {
		t.Error(err)
	}
	if want := "ok\nerror: sideways: a link has no \"sideways\"\nok\n"; answers.String() != want {
		t.Errorf("answered %q, not %q", answers.String(), want)
	}
	if p.cable.delay != 5*time.Millisecond || p.cable.rate != 1e6 {
		t.Errorf("the cable has %+v", p.cable.parameters)
	}
}
