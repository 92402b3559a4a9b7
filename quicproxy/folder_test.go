package quicproxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFolder: the node itself serves a folder, on connections without a socket that end, resume and are limited
// as all others.
func TestFolder(t *testing.T) {
	folder := t.TempDir()
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	for name, content := range map[string][]byte{"index.html": []byte("<p>home"), "large": large, ".secret": []byte("secret")} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	simulate(t, func(t *testing.T, w *world) {
		w.startServer()
		node := w.startNode(expose("site", "file:"+folder), expose("gone", "file:"+filepath.Join(folder, "gone")))
		node.leases.wait(t, 2)

		visitor := w.visit("20000")
		answers := bufio.NewReader(visitor)
		get := func(path string, status int, content []byte) {
			t.Helper()
			fmt.Fprintf(visitor, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
			if err := wantAnswer(answers, status, content); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		get("/", 200, []byte("<p>home"))
		get("/.secret", 404, []byte("there is no such file\n"))
		w.nat.Rebind() // while the answer comes
		get("/large", 200, large)

		// A visitor that ends its direction still gets the answer, and then the end.
		last := w.visit("20000")
		if err := writeErr(last, "GET /large HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		closeWriteErr(last)
		if all, err := io.ReadAll(last); err != nil || !bytes.HasSuffix(all, large) {
			t.Errorf("%d bytes, %v", len(all), err)
		}
		// One that resets, or never asks, leaves nothing behind.
		left := w.visit("20000")
		if err := writeErr(left, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		left.(lingerer).SetLinger(0)
		left.Close()
		silent := w.visit("20000")
		visitor.Close()
		if err := wantRead(silent, "", nil); err != nil {
			t.Error(err)
		}
		eventually(t, "all over", func() bool { return node.node.Inspect().Streams.Len() == 0 })
		if live := node.node.Status(t.Context()).Services; live[0].Relays != 0 || live[0].Upstream != nil || live[1].Upstream == nil {
			t.Errorf("status %+v", live)
		}

		if err := wantRead(w.visit("20001"), "", syscall.ECONNRESET); err != nil {
			t.Error(err)
		}
		if n := w.logged.count("check the path, and that the user"); n != 1 {
			t.Errorf("the log has the missing folder %d times", n)
		}
		// The node does not wait for connections that only might ask for more.
		idle := w.visit("20000")
		if err := writeErr(idle, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := wantAnswer(bufio.NewReader(idle), 200, []byte("<p>home")); err != nil {
			t.Error(err)
		}
		begun := time.Now()
		node.stop()
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("the node stopped only after %v", took)
		}
	})
}

// TestFolderReaders: visitors that do not read cost the node no more than others, and make room.
func TestFolderReaders(t *testing.T) {
	folder := t.TempDir()
	file, err := os.Create(filepath.Join(folder, "endless"))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(1 << 30); err != nil { // sparse
		t.Fatal(err)
	}
	file.Close()
	simulate(t, func(t *testing.T, w *world) {
		w.startServer(func(c *ServerConfig) { c.Memory = 64 << 20 })
		const budget = 16 << 20
		node := w.startNode(expose("site", "file:"+folder), func(c *NodeConfig) { c.Memory = budget })
		node.leases.wait(t, 1)
		visitors := make([]net.Conn, 24)
		for i := range visitors {
			visitors[i] = w.visit("20000")
			if err := writeErr(visitors[i], "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second) // virtual
		if peak := node.node.MemoryPeak(); peak > budget+budget/5 || peak < 1<<20 {
			t.Errorf("the node held %d bytes, its budget is %d", peak, budget)
		}
		for _, visitor := range visitors {
			visitor.(lingerer).SetLinger(0)
			visitor.Close()
		}
		eventually(t, "all over", func() bool { return node.node.Inspect().Streams.Len() == 0 })
	})
}

func wantAnswer(from *bufio.Reader, status int, content []byte) error {
	r, err := http.ReadResponse(from, nil)
	if err != nil {
		return err
	}
	all, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != status || !bytes.Equal(all, content) {
		return fmt.Errorf("%d with %d bytes, %w; want %d with %d", r.StatusCode, len(all), err, status, len(content))
	}
	return nil
}
