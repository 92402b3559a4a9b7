package upstream

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
	"apquic/internal/hint"
)

// newFolder returns a folder to be served, beside a secret.
func newFolder(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	for name, text := range map[string]string{
		"secret.txt": "secret", "www/index.html": "<p>home", "www/a.txt": "0123456789", "www/.env": "secret", "www/.git/config": "secret",
		"www/sub/b.txt": "b", "www/sub/.hidden/c.txt": "secret", "www/sub/a&b<i>.txt": "d", "www/sub/x:y": "e", "www/..a/b": "secret", "www/empty/.keep": "",
	} {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"out": "../secret.txt", "out-dir": "..", "absolute": filepath.Join(top, "secret.txt"), "in": "sub/b.txt", "passwd": "/etc/passwd", "loop": "loop", "sub/up": "../../secret.txt",
	} {
		if err := os.Symlink(to, filepath.Join(top, "www", link)); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(top, "www")
}

// get asks a folder, with the request's target as it stands.
func get(f *folder, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "/", nil)
	var err error
	if r.URL, err = url.ParseRequestURI(target); err != nil {
		panic(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	all, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func TestFolder(t *testing.T) {
	t.Parallel()
	path := newFolder(t)
	before := tree(t, filepath.Dir(path))
	f := &folder{path: path}
	for _, test := range []struct {
		method, target string
		status         int
		text           string
	}{
		{"GET", "/", 200, "<p>home"},
		{"GET", "/index.html", 200, "<p>home"},
		{"GET", "/a.txt", 200, "0123456789"},
		{"GET", "/a.txt?x=1", 200, "0123456789"},
		{"GET", "/sub/../a.txt", 200, "0123456789"},
		{"GET", "/%61.txt", 200, "0123456789"},
		{"HEAD", "/a.txt", 200, ""},
		{"GET", "/in", 200, "b"},
		{"GET", "/sub/x:y", 200, "e"},
		{"GET", "/a.txt/", 404, "no such file"},
		{"GET", "/none", 404, "no such file"},
		{"GET", "/sub/", 403, "no index.html"},
		{"GET", "/.env", 404, "no such file"},
		{"GET", "/%2eenv", 404, "no such file"},
		{"GET", "/.git/config", 404, "no such file"},
		{"GET", "/.git/", 404, "no such file"},
		{"GET", "/sub/.hidden/c.txt", 404, "no such file"},
		{"GET", "/sub/../.env", 404, "no such file"},
		{"GET", "/..a/b", 404, "no such file"},
		{"GET", "/../secret.txt", 404, "no such file"},
		{"GET", "/..%2fsecret.txt", 404, "no such file"},
		{"GET", "/%2e%2e/%2e%2e/etc/passwd", 404, "no such file"},
		{"GET", "/..%5csecret.txt", 404, "no such file"},
		{"GET", "//etc/passwd", 404, "no such file"},
		{"GET", "/a.txt%00.html", 404, "no such file"},
		{"GET", "/out", 404, "no such file"},
		{"GET", "/out-dir/secret.txt", 404, "no such file"},
		{"GET", "/out-dir/", 404, "no such file"},
		{"GET", "/absolute", 404, "no such file"},
		{"GET", "/passwd", 404, "no such file"},
		{"GET", "/sub/up", 404, "no such file"},
		{"GET", "/loop", 404, "no such file"},
		{"POST", "/a.txt", 405, "read only"},
		{"PUT", "/new.txt", 405, "read only"},
		{"DELETE", "/a.txt", 405, "read only"},
		{"MOVE", "/a.txt", 405, "read only"},
		{"OPTIONS", "/", 405, "read only"},
	} {
		r := get(f, test.method, test.target)
		if text := body(t, r); r.StatusCode != test.status || !strings.Contains(text, test.text) || strings.Contains(text, "secret") {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.target, r.StatusCode, text, test.status, test.text)
		}
	}
	if after := tree(t, filepath.Dir(path)); after != before {
		t.Errorf("the folder was\n%s and is\n%s", before, after)
	}
}

// tree describes all files.
func tree(t *testing.T, top string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(top, func(path string, info os.FileInfo, err error) error {
		fmt.Fprintln(&b, path, info.Mode(), info.Size(), info.ModTime())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFolderRedirects(t *testing.T) {
	t.Parallel()
	path := newFolder(t)
	if err := os.Mkdir(filepath.Join(path, "sub", "javascript:alert(1)"), 0o755); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"/sub": "sub/", "/sub?a=b": "sub/?a=b", "//sub": "sub/", "/sub/javascript:alert(1)": "./javascript:alert%281%29/",
	} {
		r := get(&folder{path: path}, "GET", target)
		if got := r.Header.Get("Location"); r.StatusCode != 301 || got != want && got != strings.NewReplacer("%28", "(", "%29", ")").Replace(want) {
			t.Errorf("%s: %d %q, want %q", target, r.StatusCode, got, want)
		}
	}
}

func TestFolderParts(t *testing.T) {
	t.Parallel()
	f := &folder{path: newFolder(t)}
	whole := get(f, "GET", "/a.txt")
	tag, changed := whole.Header.Get("ETag"), whole.Header.Get("Last-Modified")
	if tag == "" || changed == "" || whole.Header.Get("Accept-Ranges") != "bytes" || !strings.HasPrefix(whole.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%v", whole.Header)
	}
	for _, test := range []struct {
		header []string
		status int
		text   string
	}{
		{[]string{"Range", "bytes=2-4"}, 206, "234"},
		{[]string{"Range", "bytes=-3"}, 206, "789"},
		{[]string{"Range", "bytes=10-"}, 416, ""},
		{[]string{"Range", "bytes=2-4", "If-Range", tag}, 206, "234"},
		{[]string{"Range", "bytes=2-4", "If-Range", `"old"`}, 200, "0123456789"},
		{[]string{"If-None-Match", tag}, 304, ""},
		{[]string{"If-None-Match", `"old"`}, 200, "0123456789"},
		{[]string{"If-Modified-Since", changed}, 304, ""},
		{[]string{"If-Match", `"old"`}, 412, ""},
	} {
		r := get(f, "GET", "/a.txt", test.header...)
		if text := body(t, r); r.StatusCode != test.status || test.status != 416 && text != test.text {
			t.Errorf("%q: %d %q, want %d %q", test.header, r.StatusCode, text, test.status, test.text)
		}
	}
	if err := os.WriteFile(filepath.Join(f.path, "a.txt"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := get(f, "GET", "/a.txt", "If-None-Match", tag); r.StatusCode != 200 {
		t.Errorf("after a change: %d", r.StatusCode)
	}
}

func TestFolderList(t *testing.T) {
	t.Parallel()
	f := &folder{path: newFolder(t), listing: true}
	r := get(f, "GET", "/sub/")
	got := body(t, r)
	for _, want := range []string{`<a href="../">`, `<a href="b.txt">b.txt</a>`, `<a href="a&amp;b%3Ci%3E.txt">a&amp;b&lt;i&gt;.txt</a>`, `<a href="./x:y">x:y</a>`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "hidden") || r.StatusCode != 200 {
		t.Errorf("%d\n%s", r.StatusCode, got)
	}
	if r := get(f, "GET", "/empty/"); r.StatusCode != 200 || strings.Contains(body(t, r), "keep") {
		t.Errorf("an empty folder: %d", r.StatusCode)
	}
	if r := get(f, "GET", "/"); body(t, r) != "<p>home" {
		t.Error("a list instead of index.html")
	}
	if r := get(f, "GET", "/.git/"); r.StatusCode != 404 {
		t.Errorf("a list of a hidden folder: %d", r.StatusCode)
	}
}

// TestFolderIsThere: a folder that is not there is what an upstream is that does not run.
func TestFolderIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "later")
	u, err := New(Settings{Address: "file:" + path}, nil)
	if err != nil || u.Origin != "file:"+path || !u.Serves() {
		t.Fatalf("%+v %v", u, err)
	}
	if err := u.Check(t.Context()); Code(err) != framing.ErrorUpstreamRefused || !strings.Contains(hint.Of(err), "check the path") {
		t.Errorf("%v (%s)", err, hint.Of(err))
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := u.Check(t.Context()); err == nil {
		t.Error("a file is no folder")
	}
	os.Remove(path)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := u.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for _, s := range []Settings{{Address: "file:/srv", ProxyProtocol: 1}, {Address: "file:/srv", Pin: "a"}, {Address: "80.0.0.1:80", Listing: true}} {
		if _, err := New(s, nil); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
}

// TestServeTimes: a connection that sends nothing, half a request, or no further one, is closed, and Serve
// returns.
func TestServeTimes(t *testing.T) {
	t.Parallel()
	path := newFolder(t)
	for begin, most := range map[string]time.Duration{
		"":                                       requestTimeout,
		"GET / HTTP/1.1\r\n":                     requestTimeout,
		"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n": idleTimeout,
		"GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 2*maxRequestHeader): requestTimeout,
	} {
		synctest.Test(t, func(t *testing.T) {
			u, err := New(Settings{Address: "file:" + path}, nil)
			if err != nil {
				t.Fatal(err)
			}
			near, far := net.Pipe()
			served := make(chan struct{})
			begun := time.Now()
			go func() { u.Serve(far); close(served) }()
			go io.WriteString(near, begin)
			io.Copy(io.Discard, near)
			<-served
			if took := time.Since(begun); took > most+time.Second {
				t.Errorf("%.40q was served for %v, want %v", begin, took, most)
			}
			near.Close()
		})
	}
}
