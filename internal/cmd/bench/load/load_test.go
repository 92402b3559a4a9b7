package load

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// service starts the service and returns its address.
func service(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, "127.0.0.1:0", in) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	line := make([]byte, 100)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "serving "))
}

// do runs a job as the process does.
func do(t *testing.T, job Job) Result {
	t.Helper()
	argument, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Main(t.Context(), string(argument), strings.NewReader(""), &out); err != nil {
		t.Fatal(err)
	}
	var result Result
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return result
}

const short = 100 * time.Millisecond

func TestLoads(t *testing.T) {
	address := service(t)
	for _, test := range []struct {
		job  Job
		good func(Result) bool
	}{
		{Job{Kind: Probe}, func(Result) bool { return true }},
		{Job{Kind: Down, Conns: 2, Time: short}, func(r Result) bool { return r.Bytes > 0 && r.Count == 2 && 0 < r.Least && r.Least <= r.Rate/2 }},
		{Job{Kind: Up, Conns: 2, Time: 3 * short}, func(r Result) bool { return r.Bytes > 0 && r.Count == 2 && 0 < r.Least && r.Least <= r.Rate/2 }},
		{Job{Kind: Echo, Conns: 3, Time: short}, func(r Result) bool { return 0 < r.P50 && r.P50 <= r.P99 && r.P99 <= r.Worst }},
		{Job{Kind: Connect, Conns: 3, Time: short}, func(r Result) bool { return r.Rate > 0 && r.Lost == 0 }},
		{Job{Kind: Hold, Conns: 100}, func(r Result) bool { return r.Count == 100 }},
		{Job{Kind: Stall, Conns: 10}, func(r Result) bool { return r.Count == 10 }},
		{Job{Kind: Datagrams, Size: 64, Conns: 2, Warmup: 3 * short, Time: short}, countsWarmup},
		{Job{Kind: Paced, Size: 64, PerSecond: 1000, Warmup: short, Time: short}, func(r Result) bool { return r.Count >= 100 && r.Lost == 0 }},
		{Job{Kind: Requests, Host: "www.example.org", Conns: 2, Warmup: 3 * short, Time: short}, countsWarmup},
		{Job{Kind: Requests, Host: "www.example.org", Conns: 2, Once: true, Warmup: 3 * short, Time: short}, countsWarmup},
		{Job{Kind: HalfClose}, func(r Result) bool { return r.Whole }},
		{Job{Kind: Watch, Conns: 2, Time: 3 * short, Pause: short}, func(r Result) bool {
			return r.Worst > 0 && r.Lost == 0 && r.Outage < 5*time.Second
		}},
	} {
		test.job.Address = address
		if result := do(t, test.job); result.Error != "" || !test.good(result) {
			t.Errorf("%s: %+v", test.job.Kind, result)
		}
	}
}

// countsWarmup: the rate is that after the warm-up, and the count that of everything for which the programs used
// CPU.
func countsWarmup(r Result) bool {
	return r.Lost == 0 && r.Rate > 0 && float64(r.Count) > 1.5*r.Rate*short.Seconds()
}

func TestFailuresAreTold(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	for _, kind := range []Kind{Down, Echo, Connect, Hold, HalfClose, Watch, "unheard-of"} {
		if result := do(t, Job{Kind: kind, Address: address, Conns: 1, Time: short}); result.Error == "" {
			t.Errorf("%s: %+v", kind, result)
		}
	}
}

// A service that ends every connection at the end of one direction, as many tunnels do.
func TestLostHalfCloseIsSeen(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	if result := do(t, Job{Kind: HalfClose, Address: listener.Addr().String()}); result.Whole {
		t.Errorf("%+v", result)
	}
}

func TestPercentile(t *testing.T) {
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(i+1))
	}
	for p, want := range map[int]time.Duration{0: 1, 50: 100, 99: 198, 100: 200} {
		if got := percentile(times, p); got != want {
			t.Errorf("percentile %d is %d, not %d", p, got, want)
		}
	}
	if got := percentile(times[:1], 99); got != 1 {
		t.Errorf("the 99th percentile of 1 is %d", got)
	}
	if got := summarise(nil); got != (Result{}) {
		t.Errorf("nothing measured gave %+v", got)
	}
}
