package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("down")

// TestRun: two failures in a row make a service unhealthy, a single answer makes it healthy again, and of one
// that was never asked a single failure is enough. It is asked every ten seconds.
func TestRun(t *testing.T) {
	t.Parallel()
	for answers, want := range map[string]string{ // . is well, x is not; what is told, and when
		"....": "", "x": "x0", "xx.": "x0 .20", ".x.x.x": "", ".xx": "x20", ".xxxx.": "x20 .50", ".xx.xx": "x20 .30 x50", "x.x.": "x0 .10",
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			begin, asked := time.Now(), 0
			m := &Monitor{check: func(context.Context) error {
				asked++
				if asked > len(answers) || answers[asked-1] == '.' {
					return nil
				}
				return errDown
			}}
			var told []string
			go m.Run(ctx, func(sick error) {
				mark := "."
				if sick != nil {
					mark = "x"
				}
				if !errors.Is(m.Sick(), sick) {
					t.Errorf("%s: told %v, but Sick is %v", answers, sick, m.Sick())
				}
				told = append(told, fmt.Sprint(mark, time.Since(begin).Seconds()))
			})
			time.Sleep(time.Duration(len(answers))*every - time.Second)
			cancel()
			synctest.Wait()
			if got := strings.Join(told, " "); got != want || asked != len(answers) {
				t.Errorf("%s: told %q after %d questions, want %q", answers, got, asked, want)
			}
		})
	}
}

// TestPatience: a service that says nothing is asked no longer than for a while, and the end of the program
// is not a failure.
func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := &Monitor{check: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		var told []error
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Run(ctx, func(sick error) { told = append(told, sick) })
		}()
		time.Sleep(patience + time.Second)
		synctest.Wait()
		if len(told) != 1 || !strings.Contains(told[0].Error(), "does not answer within 5s") {
			t.Errorf("told %v", told)
		}
		cancel()
		<-done
		ended, cancelled := context.WithCancel(t.Context())
		cancelled()
		(&Monitor{check: func(context.Context) error { return errDown }}).Run(ended, func(error) { t.Error("told after the end") })
		(*Monitor)(nil).Run(t.Context(), nil)
		if (*Monitor)(nil).Sick() != nil {
			t.Error("a service that is not checked is unhealthy")
		}
	})
}

// answering is a service that answers each request with a text, and keeps what it was asked.
func answering(answer string) (dial func(context.Context) (net.Conn, error), asked func() string) {
	var mu sync.Mutex
	var all strings.Builder
	return func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				r, err := http.ReadRequest(bufio.NewReader(far))
				if err != nil {
					return
				}
				mu.Lock()
				fmt.Fprintf(&all, "%s %s %s\n", r.Method, r.Host, r.RequestURI)
				mu.Unlock()
				io.WriteString(far, answer)
			}()
			return near, nil
		}, func() string {
			mu.Lock()
			defer mu.Unlock()
			return all.String()
		}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok":            "",
		"HTTP/1.1 204 No Content\r\n\r\n":                           "",
		"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n": "",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n":      "",
		"HTTP/1.1 404 Not Found\r\n\r\n":                            "answers /healthz?full=1 with 404 Not Found",
		"HTTP/1.1 503 Service Unavailable\r\n\r\n":                  "with 503",
		"SSH-2.0-OpenSSH_10.0\r\n":                                  "malformed HTTP",
		"":                                                          "EOF",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeader+1) + "\r\n\r\n": "exceeded",
		"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n":                     "", // its content does not matter
	} {
		dial, asked := answering(answer)
		m, err := New("/healthz?full=1", "tcp://192.168.1.5:8080", "", nil, dial)
		if err != nil {
			t.Fatal(err)
		}
		err = m.check(t.Context())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", answer, err, want)
		}
		if got := asked(); got != "GET 192.168.1.5:8080 /healthz?full=1\n" {
			t.Errorf("it was asked %q", got)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"udp", "http://192.0.2.1/", "healthz", "/a b\n", "TCP"} {
		if _, err := New(setting, "tcp://127.0.0.1:80", "", nil, nil); err == nil {
			t.Errorf("%q: no error", setting)
		}
	}
	if m, err := New("", "", "", nil, nil); m != nil || err != nil {
		t.Errorf("no check: %v, %v", m, err)
	}
	m, err := New(TCP, "", "", func(context.Context) error { return errDown }, nil)
	if err != nil || !errors.Is(m.check(t.Context()), errDown) {
		t.Errorf("tcp: %v", err)
	}
	for origin, host := range map[string]string{"unix:/run/app.sock": "localhost", "file:/srv/www": "localhost", "tcp://[fe80::1%25eth0]:80": ""} {
		dial, asked := answering("HTTP/1.1 200 OK\r\n\r\n")
		m, err := New("/", origin, "", nil, dial)
		if err == nil {
			err = m.check(t.Context())
		}
		if err != nil || host != "" && asked() != "GET "+host+" /\n" {
			t.Errorf("%s: %v, asked %q", origin, err, asked())
		}
	}
	dial, asked := answering("HTTP/1.1 200 OK\r\n\r\n")
	if m, err = New("/", "https://192.168.1.5:443", "nas.local", nil, dial); err != nil || m.check(t.Context()) != nil || asked() != "GET nas.local /\n" {
		t.Errorf("a host of its own: %v", err)
	}
}
