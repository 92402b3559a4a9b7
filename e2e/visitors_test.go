package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const countriesFile = "../internal/countries/testdata/countries.mmdb" // 127.0.0.1 is in Germany, 127.0.0.2 in France

// curlFrom returns what curl gets when it comes from an address of this machine, and its exit status.
func curlFrom(t *testing.T, from string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(realProgram(t, "curl"), append([]string{"-sS", "--noproxy", "*", "--max-time", "20", "--interface", from}, args...)...)
	out, _ := cmd.Output()
	return string(out), cmd.ProcessState.ExitCode()
}

// refused is what `status --json` of a program says of its first service, under a key.
func refused(t *testing.T, program, data, key string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin, program), "status", "--json", "--data-dir", data).Output()
	var status struct {
		Services []map[string]any `json:"services"`
	}
	if err == nil {
		err = json.Unmarshal(out, &status)
	}
	if err != nil || len(status.Services) == 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	return fmt.Sprint(status.Services[0][key])
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestWhoMayVisit: curl from some addresses of this machine reaches a service, from others it is reset, by rules of the
// node and of the server, for networks and for countries. Both programs say how many that were.
func TestWhoMayVisit(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "www")
	writeFile(t, filepath.Join(folder, "index.html"), []byte("welcome"))
	n := newTunnel(t, "--countries", countriesFile, "--deny-clients", "127.0.0.3")
	data := filepath.Join(t.TempDir(), "node")
	rules := fmt.Sprintf(`{"web": {"upstream": "file:%s", "allow": ["127.0.0.0/29"], "deny": "127.0.0.4", "denyCountries": ["FR"]}}`, folder)
	node := launch(t, nil, "apquic-node", append(n.nodeFile(t, rules), "--data-dir", data)...)
	waitFor(t, node.stdout, `tcp://`)
	for from, welcome := range map[string]bool{
		"127.0.0.1": true, "127.0.0.5": true, "127.0.0.2": false, "127.0.0.3": false, "127.0.0.4": false, "127.0.0.9": false,
	} {
		got, status := curlFrom(t, from, "http://"+n.address()+"/")
		reset := slices.Contains([]int{7, 35, 52, 55, 56}, status) // while it connects, sends or receives
		if welcome && (got != "welcome" || status != 0) || !welcome && (got != "" || !reset) {
			t.Errorf("from %s: %q, status %d", from, got, status)
		}
	}
	const want = "map[countries:1 networks:3]"
	if got := refused(t, "apquic-server", n.data, "refused"); got != want {
		t.Errorf("the server says %s, want %s", got, want)
	}
	if got := refused(t, "apquic-node", data, "refusedByServer"); got != want {
		t.Errorf("the node says %s, want %s", got, want)
	}
	for program, data := range map[string]string{"apquic-server": n.data, "apquic-node": data} {
		out, err := exec.Command(filepath.Join(bin, program), "status", "--data-dir", data).Output()
		if err != nil || !strings.Contains(string(out), "3 by network, 1 by country") {
			t.Errorf("%s status: %v\n%s", program, err, out)
		}
	}
}

// TestWithoutCountries: a node's owner is told that the server knows no countries, and a damaged file of them does not
// let a server start.
func TestWithoutCountries(t *testing.T) {
	t.Parallel()
	n := newTunnel(t)
	node := launch(t, nil, "apquic-node", n.nodeFile(t, `{"web": {"upstream": "127.0.0.1:1", "allowCountries": ["DE"]}}`)...)
	waitFor(t, node.stderr, `this server does not know the countries of addresses.*start it with --countries FILE`)

	damaged := filepath.Join(t.TempDir(), "countries.mmdb")
	good, err := os.ReadFile(countriesFile)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, damaged, good[:len(good)/2])
	out, err := exec.Command(filepath.Join(bin, "apquic-server"), "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "server"), "--countries", damaged).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "error: "+damaged+" is not a database of countries") || !strings.Contains(string(out), "hint: get a new copy") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestBandwidthOfDownload: a download through a limited service is as fast as the limit, and two get equal parts.
func TestBandwidthOfDownload(t *testing.T) {
	t.Parallel()
	const rate, seconds = 2_000_000, 4
	folder := filepath.Join(t.TempDir(), "www")
	writeFile(t, filepath.Join(folder, "large"), make([]byte, 10*rate))
	n := newTunnel(t)
	node := launch(t, nil, "apquic-node", n.nodeFile(t, fmt.Sprintf(`{"web": {"upstream": "file:%s", "maxRateOut": "2MB"}}`, folder))...)
	waitFor(t, node.stdout, `tcp://`)
	download := func() float64 { // for some seconds, and returns the bytes that came
		got, _ := curlFrom(t, "127.0.0.1", "--max-time", strconv.Itoa(seconds), "-o", os.DevNull, "-w", "%{size_download}", "http://"+n.address()+"/large")
		bytes, err := strconv.ParseFloat(got, 64)
		if err != nil {
			t.Errorf("curl says %q", got)
		}
		return bytes
	}
	atLimit(t, rate*seconds, download())
	var parts [2]float64
	var all sync.WaitGroup
	for i := range parts {
		all.Go(func() { parts[i] = download() })
	}
	all.Wait()
	atLimit(t, rate*seconds, parts[:]...)
}

// atLimit wants some visitors to have moved as many bytes as the limit lets in that time, in equal parts. On a busy
// machine, where a program may not run for longer than the limit remembers, it is less, but never more: the exact
// figures are those of TestBandwidth, in virtual time.
func atLimit(t *testing.T, limit float64, parts ...float64) {
	t.Helper()
	sum := 0.0
	for _, part := range parts {
		sum += part
	}
	t.Logf("%.3f of the limit, parts of %.0f bytes", sum/limit, parts)
	if sum > 1.1*limit || sum < 0.6*limit || slices.Max(parts) > 1.25*slices.Min(parts) {
		t.Errorf("%.0f bytes, where the limit is %.0f", parts, limit)
	}
}

// TestBandwidthOfUpload: what visitors send reaches the service no faster than the limit, and two get equal parts.
func TestBandwidthOfUpload(t *testing.T) {
	t.Parallel()
	const rate, measured = 2_000_000, 4 * time.Second
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var parts [2]atomic.Int64
	var came atomic.Int32
	var all sync.WaitGroup
	take := func(c net.Conn) {
		defer c.Close()
		buffer := make([]byte, 64<<10)
		if _, err := c.Read(buffer); err != nil {
			return // the node looks whether the service answers
		}
		for part := &parts[came.Add(1)-1]; ; {
			n, err := c.Read(buffer)
			if part.Add(int64(n)); err != nil {
				return
			}
		}
	}
	all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { take(c) })
		}
	})
	defer all.Wait()
	defer listener.Close()
	n := newTunnel(t)
	node := launch(t, nil, "apquic-node", n.nodeFile(t, fmt.Sprintf(`{"web": {"upstream": %q, "maxRateIn": "2MB"}}`, listener.Addr().String()))...)
	waitFor(t, node.stdout, `tcp://`)
	for range parts {
		c, err := net.Dial("tcp", n.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all.Go(func() {
			for data := make([]byte, 64<<10); err == nil; {
				_, err = c.Write(data)
			}
		})
	}
	for end := time.Now().Add(maxWait); parts[0].Load() == 0 || parts[1].Load() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing arrives")
		}
	}
	begin, before := time.Now(), [2]int64{parts[0].Load(), parts[1].Load()}
	time.Sleep(measured)
	limit := rate * time.Since(begin).Seconds()
	atLimit(t, limit, float64(parts[0].Load()-before[0]), float64(parts[1].Load()-before[1]))
}
