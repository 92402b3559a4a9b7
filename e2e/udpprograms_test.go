package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// needProgram skips a test without a program, which .ci/run installs.
func needProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
}

// answerDNS answers each query of a socket with one TXT record of about 4 KB, as a server does whose client
// has said (EDNS, RFC 6891) that it takes that much.
func answerDNS(socket *net.UDPConn) {
	for buffer := make([]byte, 1<<16); ; {
		n, from, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if query.Unpack(buffer[:n]) != nil || len(query.Questions) != 1 {
			continue
		}
		name := query.Questions[0].Name
		texts := make([]string, 16)
		for i := range texts {
			texts[i] = strings.Repeat(string(rune('a'+i)), 250)
		}
		answer, err := (&dnsmessage.Message{
			Header: dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true}, Questions: query.Questions,
			Answers: []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET},
				Body:   &dnsmessage.TXTResource{TXT: texts},
			}},
		}).Pack()
		if err == nil {
			socket.WriteToUDPAddrPort(answer, from)
		}
	}
}

// TestDig: dig gets an answer of 4 KB over UDP.
func TestDig(t *testing.T) {
	t.Parallel()
	needProgram(t, "dig")
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	go answerDNS(socket)
	n := newTunnel(t)
	node := launch(t, detached, "apquic-node", "--server", n.invitation, "--upstream", "dns=udp://"+socket.LocalAddr().String(), "--data-dir", t.TempDir())
	waitFor(t, node.stdout, `^(dns  udp://\S+)`)
	out, err := exec.Command("dig", "@127.0.0.1", "-p", strconv.Itoa(n.public), "+bufsize=4096", "+ignore", "+tries=5", "+time=2", "big.example.org", "TXT").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	size := regexp.MustCompile(`MSG SIZE  rcvd: (\d+)`).FindSubmatch(out)
	if size == nil || !strings.Contains(string(out), "status: NOERROR") || !strings.Contains(string(out), strings.Repeat("p", 250)) {
		t.Fatalf("%s", out)
	}
	if bytes, _ := strconv.Atoi(string(size[1])); bytes < 4000 {
		t.Errorf("an answer of %d bytes", bytes)
	}
}

// TestClientAddressOverUDP: dnsdist answers by the address that a PROXY protocol header before each query names.
func TestClientAddressOverUDP(t *testing.T) {
	t.Parallel()
	needProgram(t, "dig")
	needProgram(t, "dnsdist")
	port := freePort(t)
	config := filepath.Join(t.TempDir(), "dnsdist.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
setLocal("127.0.0.1:%d")
setACL("127.0.0.0/8")
setProxyProtocolACL({"127.0.0.1/32"})
newServer("127.0.0.1:1")
addAction(makeRule("127.0.0.9/32"), SpoofAction("192.0.2.9"))
addAction(AllRule(), SpoofAction("192.0.2.1"))
`, port), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command("dnsdist", "--supervised", "--disable-syslog", "-C", config)
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		server.Process.Kill()
		server.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	n := newTunnel(t)
	file := filepath.Join(t.TempDir(), "node.json")
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"services": {"dns": {"upstream": "tcp+udp://127.0.0.1:%d", "proxyProtocol": 2}}}`, port), 0o600); err != nil {
		t.Fatal(err)
	}
	node := launch(t, detached, "apquic-node", "-c", file, "--server", n.invitation, "--data-dir", t.TempDir())
	waitFor(t, node.stdout, `^(dns  tcp\+udp://\S+)`)
	for client, want := range map[string]string{"127.0.0.9": "192.0.2.9", "127.0.0.2": "192.0.2.1"} {
		for _, transport := range []string{"+notcp", "+tcp"} {
			out, err := exec.Command("dig", "@127.0.0.1", "-b", client, "-p", strconv.Itoa(n.public), "+short", transport, "+tries=5", "+time=2", "www.example.org").CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != want {
				t.Errorf("%s %s: %v\n%s", client, transport, err, out)
			}
		}
	}
}

// TestIperf: iperf3, which needs TCP and UDP on one port, measures a moderate stream of datagrams both ways;
// the size of WireGuard's, too, which do not fit into a packet.
func TestIperf(t *testing.T) {
	t.Parallel()
	needProgram(t, "iperf3")
	port := freePort(t)
	server := exec.Command("iperf3", "-s", "--forceflush", "-B", "127.0.0.1", "-p", strconv.Itoa(port))
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	defer server.Wait()
	defer server.Process.Kill()
	n := newTunnel(t)
	node := launch(t, detached, "apquic-node", "--server", n.invitation, "--upstream", fmt.Sprint("iperf=tcp+udp://127.0.0.1:", port), "--data-dir", t.TempDir())
	waitFor(t, node.stdout, `^(iperf  tcp\+udp://\S+)`)
	for _, arguments := range [][]string{{"-l", "1200"}, {"-l", "1200", "-R"}, {"-l", "1452"}, {"-l", "64", "-b", "200K"}} {
		for said.Scan() && !strings.Contains(said.Text(), "listening") { // it takes one test at a time
		}
		arguments = append([]string{"-c", "127.0.0.1", "-p", strconv.Itoa(n.public), "-u", "-J", "-t", "1", "-b", "2M"}, arguments...)
		out, err := exec.Command("iperf3", arguments...).Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", arguments, err, out)
		}
		var result struct {
			End struct {
				Sum struct {
					Packets int     `json:"packets"`
					Lost    float64 `json:"lost_percent"`
				} `json:"sum"`
			} `json:"end"`
		}
		if err := json.Unmarshal(out, &result); err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: %d datagrams, %.1f %% lost", arguments[9:], result.End.Sum.Packets, result.End.Sum.Lost)
		// The system's buffers hold what comes in half a second in which a busy machine does not run the tunnel.
		if result.End.Sum.Packets < 150 || result.End.Sum.Lost > 20 {
			t.Errorf("%v: iperf3 says %s", arguments[9:], out)
		}
	}
}
