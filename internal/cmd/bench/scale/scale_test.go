package scale

import (
	"io"
	"testing"
)

func TestSourceAddresses(t *testing.T) {
	seen := map[string]bool{}
	for n := range 3 * 250 * 250 {
		address := sourceAddress(n)
		if !address.IsLoopback() || seen[address.String()] {
			t.Fatalf("address %d is %v", n, address)
		}
		seen[address.String()] = true
	}
}

func TestLogLine(t *testing.T) {
	for line, want := range map[string][3]string{
		`time=T level=INFO msg="node connected" node=Abc1 version="" joined=false`:             {`"node connected"`, "Abc1", ""},
		`time=T level=INFO msg=lease node=Abc1 service=a public=tcp://127.0.0.1:20 origin=tcp`: {"lease", "Abc1", "tcp://127.0.0.1:20"},
	} {
		match := logLine.FindStringSubmatch(line)
		if match == nil || [3]string(match[1:]) != want {
			t.Errorf("%s: %q", line, match)
		}
	}
	if match := logLine.FindStringSubmatch(`level=INFO msg="lease released" node=Abc1`); match != nil {
		t.Errorf("%q", match)
	}
}

func TestOptions(t *testing.T) {
	if o, err := parse([]string{"--count", "10000"}, io.Discard); err != nil || o.count != 10000 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{{"--count", "0"}, {"--count", "60000"}, {"--per-address", "0"}} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
