package events

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// serve answers requests; timeout, if it is not 0, is that of the server, within which a request has to come.
func serve(t *testing.T, s http.Handler, timeout time.Duration) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Config.ReadTimeout, server.Config.WriteTimeout = timeout, timeout
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url, lastID string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

var errEnough = errors.New("enough")

// read returns count events of a stream, or all until its end if count is 0.
func read(t *testing.T, body io.Reader, count int) (events []Event, missed uint64) {
	t.Helper()
	err := Read(body, func(e Event) error {
		if events = append(events, e); len(events) == count {
			return errEnough
		}
		return nil
	}, func(n uint64) error { missed += n; return nil })
	if count > 0 && !errors.Is(err, errEnough) || count == 0 && err != nil {
		t.Fatalf("%d events, then %v", len(events), err)
	}
	return events, missed
}

func TestStream(t *testing.T) {
	t.Parallel()
	log, hub, _ := newLog(slog.LevelError)
	for i := range 5 {
		log.Info("node connected", "i", i)
	}
	const timeout = 2 * time.Second // which a stream outlives
	server := serve(t, &stream{hub, make(chan struct{}, maxStreams), timeout / 6, patience}, timeout)
	kept, _ := read(t, get(t, server.URL+"?follow=false", "").Body, 0)
	if len(kept) != 5 || kept[0].Name != "node-connected" || string(kept[4].Attributes) != `{"i":4}` {
		t.Errorf("the stream has %+v", kept)
	}
	if last, _ := read(t, get(t, server.URL+"?last=2&follow=false", "").Body, 0); len(last) != 2 || last[0].ID != kept[3].ID {
		t.Errorf("the last two are %+v", last)
	}
	response := get(t, server.URL, fmt.Sprint(kept[3].ID))
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("the stream has the type %s", kind)
	}
	lines := bufio.NewScanner(response.Body)
	for n := 0; n < 8; { // longer than the timeouts of the server
		if !lines.Scan() {
			t.Fatalf("the stream ended after %d keepalives: %v", n, lines.Err())
		}
		if lines.Text() == ": keepalive" {
			n++
		}
	}
	log.Warn("node refused: no", "i", 5)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "id: ") {
	}
	if want := fmt.Sprint("id: ", kept[4].ID+1); lines.Text() != want {
		t.Errorf("%s, want %s", lines.Text(), want)
	}
	for i := range 2 * maxKept {
		log.Info("node connected", "i", i)
	}
	events, missed := read(t, get(t, server.URL+"?follow=false", fmt.Sprint(kept[4].ID)).Body, 0)
	if len(events) != maxKept || missed != maxKept+1 {
		t.Errorf("%d events and %d missed", len(events), missed)
	}
}

func TestStreamRefuses(t *testing.T) {
	t.Parallel()
	_, hub, _ := newLog(slog.LevelError)
	server := serve(t, Stream(hub), 0)
	for query, id := range map[string]string{"?last=x": "", "?last=-1": "", "?follow=maybe": "", "": "x"} {
		if response := get(t, server.URL+query, id); response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s with the id %q: %s", query, id, response.Status)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for i := range maxStreams + 1 {
		request, _ := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if full := response.StatusCode == http.StatusServiceUnavailable; full != (i == maxStreams) {
			t.Errorf("reader %d: %s", i, response.Status)
		}
	}
	leave()
	for get(t, server.URL+"?follow=false", "").StatusCode != http.StatusOK {
		runtime.Gosched() // the places of those who left are free soon
	}
}

// TestReaderThatDoesNotRead costs no more than the buffers of its socket, and is ended; the program does not wait.
func TestReaderThatDoesNotRead(t *testing.T) {
	t.Parallel()
	log, hub, _ := newLog(slog.LevelError)
	s := &stream{hub, make(chan struct{}, 1), time.Hour, 100 * time.Millisecond}
	ended := make(chan struct{})
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		s.ServeHTTP(w, r)
	}), 0)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	text := strings.Repeat("x", maxEvent/2)
	written := 0
	for {
		select {
		case <-ended:
			if written < maxBytes {
				t.Errorf("it was ended after %d bytes", written)
			}
			if hub.ring.bytes > maxBytes {
				t.Errorf("%d bytes are kept for it", hub.ring.bytes)
			}
			return
		default:
			log.Info("node connected", "text", text)
			written += len(text)
		}
	}
}

// FuzzRead: what a server may send makes no reader fail otherwise than with an error.
func FuzzRead(f *testing.F) {
	f.Add("retry: 3000\n\nid: 1\ndata: {\"id\":1,\"name\":\"log\",\"attributes\":{}}\n\n")
	f.Add("event: missed\ndata: {\"missed\":3}\n\n: keepalive\n\ndata: {\n")
	f.Fuzz(func(t *testing.T, text string) {
		Read(strings.NewReader(text), func(Event) error { return nil }, func(uint64) error { return nil })
	})
}
