//go:build linux

package hostile

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// TestAdminCrowd: a thousand connections to each door that say nothing, or send headers or a body byte by byte, or far too much
// of both, cost little memory and few descriptors, and none of them keeps out the owner.
func TestAdminCrowd(t *testing.T) {
	for _, d := range doors(t) {
		before := d.cost()
		stop := d.watch(before)
		stranger := "Content-Type: application/json\r\n"
		slow := []string{
			"",
			"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX: ",
			"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n",
			d.post(stranger+"Content-Length: 60000\r\n", "{"),
			d.post(stranger+"Transfer-Encoding: chunked\r\n", "1\r\n"),
		}
		var conns []net.Conn
		come := func(count int) {
			for i := range count {
				conn := d.dial(fmt.Sprintf("127.3.%d.1", i%200))
				io.WriteString(conn, slow[i%len(slow)])
				conns = append(conns, conn)
			}
		}
		come(1000)
		served := func(when string) {
			for range 10 {
				begin := time.Now()
				answers, body := d.ask("127.0.0.1", d.get("/api/v1/status", d.address, "Authorization: Bearer "+d.token+"\r\n"), 1)
				if took := time.Since(begin); len(answers) == 0 || answers[0] != 200 || took > time.Second {
					t.Errorf("%s: the owner gets %d %.200s after %v", when, answers, body, took)
				}
				for i, conn := range conns { // those that are still there
					if i%100 == 0 {
						conn.Write([]byte("x"))
					}
				}
			}
		}
		served("a crowd waits")
		if n := d.cost().descriptors - before.descriptors; n > 128+8 {
			t.Errorf("a crowd costs %d descriptors", n)
		}
		for range 8 { // long ones, while others come
			for _, flood := range []string{"GET /", "GET / HTTP/1.1\r\nX: ", d.post(stranger+"Transfer-Encoding: chunked\r\n", "7fffffff\r\n"), d.post(stranger+"Content-Length: 200000\r\n", "{")} {
				conn := d.dial("127.4.0.1")
				io.WriteString(conn, flood)
				for range 64 {
					if _, err := conn.Write(make([]byte, 16<<10)); err != nil {
						break
					}
				}
			}
			come(20)
		}
		served("some send much")
		peak, took := stop(), d.cost().minus(before)
		t.Logf("%s: %v; %d MB at once", d.cmd.Path, took, peak>>20)
		if peak > 16<<20 || took.log > 4<<10 || took.written > 64<<10 {
			t.Errorf("strangers cost %d MB at once, and %v", peak>>20, took)
		}
		for _, conn := range conns {
			conn.Close()
		}
		await(t, "the descriptors are given back", func() bool { return d.cost().descriptors <= before.descriptors+2 })
	}
}
