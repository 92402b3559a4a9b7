//go:build linux

package hostile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// door is the address of --admin of a running program.
type door struct {
	*program
	address, token string
	change         string // the path of a change
}

// doors are those of a server and of its node.
func doors(t *testing.T, arguments ...string) []door {
	t.Helper()
	server, invitation := startServer(t, "--admin", "127.0.0.1:0")
	node, _ := startNode(t, invitation, echoService(t), append(arguments, "--admin", "127.0.0.1:0")...)
	var all []door
	for _, d := range []door{{program: server, change: "/api/v1/kick"}, {program: node, change: "/api/v1/reload"}} {
		told := regexp.MustCompile(`msg="answering the owner" url=http://([0-9.:]+)/`)
		await(t, "it says where it answers", func() bool { return told.MatchString(d.log()) })
		text, err := os.ReadFile(filepath.Join(d.folder, "admin_token"))
		if err != nil {
			t.Fatal(err)
		}
		d.address, d.token = told.FindStringSubmatch(d.log())[1], strings.TrimSpace(string(text))
		all = append(all, d)
	}
	return all
}

// dial connects from an address of this machine.
func (d door) dial(from string) net.Conn {
	d.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(maxWait))
	return conn
}

// ask sends a request as it is and returns the answers that come until the door closes; after the first, unless more are wanted, it
// does not wait.
func (d door) ask(from, request string, answers int) (statuses []int, body string) {
	d.t.Helper()
	conn := d.dial(from)
	defer conn.Close()
	go io.WriteString(conn, request) // the door need not read it all
	for reader := bufio.NewReader(conn); len(statuses) < answers; {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			break
		}
		text, _ := io.ReadAll(response.Body)
		statuses, body = append(statuses, response.StatusCode), body+string(text)
		if header := fmt.Sprint(response.Header); strings.Contains(body+header, d.token) || response.Header.Get("Access-Control-Allow-Origin") != "" {
			d.t.Errorf("%.200q is answered by %s %s", request, header, body)
		}
	}
	return statuses, body
}

// get is a GET with these headers, and post a change, each of which ends with a new line.
func (d door) get(path, host, headers string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "\r\n"
}

func (d door) post(headers, body string) string {
	return "POST " + d.change + " HTTP/1.1\r\nHost: " + d.address + "\r\n" + headers + "\r\n" + body
}

// TestAdminDoor: both programs let in their owner alone, however the request is written, and log no token.
func TestAdminDoor(t *testing.T) {
	for _, d := range doors(t) {
		owner := "Authorization: Bearer " + d.token + "\r\n"
		change, sized := owner+"Content-Type: application/json\r\n", func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
		const status, chunked = "/api/v1/status", "Transfer-Encoding: chunked\r\n"
		for i, test := range []struct {
			name, request string
			want          int // 0: any refusal
		}{
			{"the owner", d.get(status, d.address, owner), 200},
			{"by an absolute address", d.get("http://"+d.address+status, d.address, owner), 200},
			{"no token", d.get(status, d.address, ""), 401},
			{"a wrong token", d.get(status, d.address, "Authorization: Bearer wrong-token-of-a-stranger\r\n"), 401},
			{"the numbers", d.get("/metrics", d.address, ""), 401},
			{"the events", d.get("/api/v1/events", d.address, ""), 401},
			{"a change where the page is", strings.Replace(d.get("/", d.address, ""), "GET", "POST", 1), 401},
			{"the page under another name", d.get("/", "evil.example", ""), 421},
			{"dots after the page", d.get("/dashboard/.."+status, d.address, ""), 400},
			{"another Host", d.get(status, "evil.example", owner), 421},
			{"rebinding", d.get(status, "evil.example:"+d.address[strings.LastIndex(d.address, ":")+1:], owner), 421},
			{"rebinding to what anybody may ask", d.get("/healthz", "evil.example", ""), 421},
			{"another absolute address", d.get("http://evil.example"+status, d.address, owner), 421},
			{"two Hosts", d.get(status, d.address, owner+"Host: evil.example\r\n"), 400},
			{"no Host", "GET " + status + " HTTP/1.1\r\n" + owner + "\r\n", 400},
			{"another site reads", d.get(status, d.address, owner+"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n"), 403},
			{"another site changes", d.post(change+"Origin: https://evil.example\r\n"+sized(2), "{}"), 403},
			{"another site of this machine", d.post(change+"Origin: http://127.0.0.1:1\r\n"+sized(2), "{}"), 403},
			{"a sandbox changes", d.post(change+"Origin: null\r\n"+sized(2), "{}"), 403},
			{"a form", d.post(owner+"Content-Type: application/x-www-form-urlencoded\r\n"+sized(2), "{}"), 415},
			{"a form of parts", d.post(owner+"Content-Type: multipart/form-data; boundary=x\r\n"+sized(2), "{}"), 415},
			{"a form of text", d.post(owner+"Content-Type: text/plain\r\n"+sized(2), "{}"), 415},
			{"two slashes", d.get("/"+status, d.address, owner), 400},
			{"slashes after what anybody may ask", d.get("/healthz/.."+status, d.address, ""), 400},
			{"dots", d.get("/api/v1/../v1/status", d.address, owner), 400},
			{"encoded dots", d.get("/api/v1/%2e%2e/v1/status", d.address, owner), 400},
			{"an encoded slash", d.get("/healthz%2f..%2fapi/v1/status", d.address, ""), 400},
			{"a long path", d.get("/"+strings.Repeat("a", 1<<20), d.address, owner), 431},
			{"long headers", d.get(status, d.address, owner+"X: "+strings.Repeat("x", 1<<20)+"\r\n"), 431},
			{"many headers", d.get(status, d.address, owner+strings.Repeat("X: y\r\n", 1<<17)), 431},
			{"a long body", d.post(change+sized(1<<30), "{"), 413},
			{"a long body of a stranger", d.post("Content-Type: application/json\r\n"+sized(1<<30), "{"), 401},
			{"a body without end", d.post(change+chunked, "100000\r\n"+strings.Repeat(" ", 1<<20)), 413},
			{"PUT", strings.Replace(d.post(change+sized(2), "{}"), "POST", "PUT", 1), 405},
			{"DELETE", "DELETE " + status + " HTTP/1.1\r\nHost: " + d.address + "\r\n" + owner + "\r\n", 405},
			{"OPTIONS", "OPTIONS " + status + " HTTP/1.1\r\nHost: " + d.address + "\r\nOrigin: https://evil.example\r\n\r\n", 405},
			{"TRACE", "TRACE " + status + " HTTP/1.1\r\nHost: " + d.address + "\r\n" + owner + "\r\n", 405},
			{"CONNECT", "CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n" + owner + "\r\n", 0},
			{"a change by GET", d.get(d.change, d.address, owner), 405},
			{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 0},
			{"two lengths", d.post(change+sized(2)+sized(3), "{}"), 400},
			{"a signed length", d.post(change+"Content-Length: +2\r\n", "{}"), 400},
			{"a coding of its own", d.post(change+"Transfer-Encoding: xchunked\r\n", "{}"), 501},
			{"a coding twice", d.post(change+chunked+chunked, "2\r\n{}\r\n0\r\n\r\n"), 0},
			{"a space before the colon", d.post(change+"Content-Length : 2\r\n", "{}"), 400},
			{"a zero byte in a header", d.get(status, d.address, owner+"X: \x00\r\n"), 400},
		} {
			answers, body := d.ask(fmt.Sprintf("127.1.0.%d", 1+i), test.request, 1) // none has to wait for wrong tokens of another
			if len(answers) > 0 && answers[0] != test.want && (test.want != 0 || answers[0] < 400) || len(answers) == 0 && test.want != 0 {
				t.Errorf("%s %s: %d %s, want %d", d.cmd.Path, test.name, answers, body, test.want)
			}
		}
		// What is behind a request on its connection is a request of its own, and needs its own token, whoever ends it where.
		behind := d.get(status, d.address, "")
		for name, first := range map[string]string{
			"one after the other":     d.get(status, d.address, owner),
			"a length and chunks":     d.post(change+sized(4+len(behind))+chunked, "0\r\n\r\n"),
			"chunks and a length":     d.post(change+chunked+sized(4+len(behind)), "0\r\n\r\n"),
			"the same length twice":   d.post(change+sized(2)+sized(2), "{}"),
			"a body that was refused": d.post(sized(2), "{}"),
		} {
			if answers, body := d.ask("127.1.1.1", first+behind, 2); len(answers) > 1 && answers[1] < 400 {
				t.Errorf("%s: %d %s", name, answers, body)
			}
		}
		if log := d.log(); strings.Contains(log, d.token) || strings.Contains(log, "wrong-token-of-a-stranger") || len(log) > 8<<10 {
			t.Errorf("%d B of log:\n%s", len(log), tail(log))
		}
	}
}

// TestAdminWrongTokens: after ten wrong tokens an address has to wait, and another one is served.
func TestAdminWrongTokens(t *testing.T) {
	for _, d := range doors(t) {
		try := func(from, token string) int {
			answers, _ := d.ask(from, d.get("/api/v1/status", d.address, "Authorization: Bearer "+token+"\r\n"), 1)
			return append(answers, 0)[0]
		}
		count, begin := make(map[int]int), time.Now()
		for i := range 30 {
			count[try("127.2.0.1", fmt.Sprint("wrong-token-", i))]++
		}
		if more := 1 + int(time.Since(begin).Seconds()); count[401] < 10 || count[401] > 10+more || count[401]+count[429] != 30 {
			t.Errorf("30 wrong tokens: %v", count)
		}
		for from, want := range map[string]int{"127.2.0.1": 429, "127.2.0.2": 200} {
			if got := try(from, d.token); got != want {
				t.Errorf("the right token from %s: %d, want %d", from, got, want)
			}
		}
		if n := strings.Count(d.log(), "wrong token"); n != 1 || strings.Contains(d.log(), "wrong-token-") {
			t.Errorf("the log tells of it %d times:\n%s", n, tail(d.log()))
		}
	}
}

// TestAdminSocketOfOthers: another user of the machine who can enter the data directory cannot use the socket.
func TestAdminSocketOfOthers(t *testing.T) {
	for _, d := range doors(t) {
		for folder := d.folder; folder != os.TempDir(); folder = filepath.Dir(folder) {
			if err := os.Chmod(folder, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		socket := filepath.Join(d.folder, "control.sock")
		if about, err := os.Stat(socket); err != nil || about.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", about, err)
		}
		if err := dialAsNobody(t, socket); !errors.Is(err, os.ErrPermission) {
			t.Errorf("nobody connects to %s: %v", socket, err)
		}
		if err := os.Chmod(socket, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := dialAsNobody(t, socket); err != nil {
			t.Errorf("nobody was refused for another reason: %v", err)
		}
	}
}

// dialAsNobody connects to a socket with the rights of the user nobody.
func dialAsNobody(t *testing.T, socket string) error {
	t.Helper()
	const nobody = 65534
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.Setfsuid(nobody) // of this thread alone, and with it the rights of root to files
	defer syscall.Setfsuid(0)
	if now, _, _ := syscall.RawSyscall(syscall.SYS_SETFSUID, ^uintptr(0), 0, 0); now != nobody {
		t.Skip("this namespace has one user")
	}
	conn, err := net.Dial("unix", socket)
	if err == nil {
		conn.Close()
	}
	return err
}
