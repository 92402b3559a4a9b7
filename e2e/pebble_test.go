package e2e

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// pebbleModule is the authority for tests of Let's Encrypt, which speaks ACME as it does.
const pebbleModule = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1"

// installPebble builds Pebble once for all tests.
var installPebble = sync.OnceValues(func() (string, error) { return installForeign(pebbleModule) })

// pebble is an authority that runs.
type pebble struct {
	directory string   // its URL
	own       identity // for connections to it
	roots     string   // file with the roots of the certificates that it gives
}

// startPebble starts an authority that checks domains, all of which are on this machine, at these ports.
func startPebble(t *testing.T, tlsPort, httpPort string) *pebble {
	t.Helper()
	program, err := installPebble()
	if err != nil {
		t.Skipf("Pebble cannot be built, which needs the module proxy or its modules: %v\n%s", err, program)
	}
	p := &pebble{own: newIdentity(t, "localhost")}
	dir := t.TempDir()
	port, management := strconv.Itoa(freePort(t)), strconv.Itoa(freePort(t))
	check, _ := strconv.Atoi(tlsPort)
	checkHTTP, _ := strconv.Atoi(httpPort)
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": "127.0.0.1:" + port, "managementListenAddress": "127.0.0.1:" + management,
		"certificate": p.own.certFile, "privateKey": p.own.keyFile, "httpPort": checkHTTP, "tlsPort": check,
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": 7776000}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	process := launch(t, func(c *exec.Cmd) {
		c.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1")
	}, program, "-config", file, "-dnsserver", localNames(t))
	waitFor(t, process.stdout, "ACME directory available")
	for _, port := range []string{port, management} { // it says so before it listens
		for deadline := time.Now().Add(maxWait); ; time.Sleep(10 * time.Millisecond) {
			c, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				c.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	p.directory = "https://localhost:" + port + "/dir"
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.own.roots}}}
	response, err := client.Get("https://localhost:" + management + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	root, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	p.roots = filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(p.roots, root, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// localNames is a DNS server, over TCP, for which all names are on this machine.
func localNames(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	names := serveConns(listener, func(c conn) {
		for {
			var length [2]byte
			if _, err := io.ReadFull(c, length[:]); err != nil {
				return
			}
			query := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(c, query); err != nil {
				return
			}
			answer := answerLocal(query)
			c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
		}
	})
	t.Cleanup(func() { names.Close() })
	return listener.Addr().String()
}

func answerLocal(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Header.Response, m.Header.RecursionAvailable, m.Additionals = true, true, nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}
