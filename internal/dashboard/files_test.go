package dashboard

import (
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"apquic/internal/control"
)

// TestFiles: the page and its files need no token, and nothing else gets through with them.
func TestFiles(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(Handler())
	defer server.Close()
	ask := func(method, path string) (status int, body string, header http.Header) {
		request, err := http.NewRequest(method, server.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text), response.Header
	}
	for path, kind := range map[string]string{"/": "text/html", "/dashboard/main.js": "text/javascript", "/dashboard/style.css": "text/css", "/dashboard/uplot/LICENSE": "text/plain", "/dashboard/icon.svg": "image/svg+xml"} {
		status, body, header := ask("GET", path)
		if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), kind) || body == "" {
			t.Errorf("%s: %d %v", path, status, header)
		}
		csp := header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the policy is %s", path, csp)
		}
	}
	for _, path := range []string{"/dashboard", "/dashboard/", "/dashboard/index.html", "/dashboard/../dashboard.go", "/dashboard/views", "/index.html", "/api/v1/status"} {
		if status, _, _ := ask("GET", path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestSource: the files make nothing out of text but text, name no other host, and have no script or style in HTML.
func TestSource(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`(?i)(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser|<script>|<style|\sstyle=|\son[a-z]+="|https?://`)
	err := fs.WalkDir(web, "web", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.Contains(path, "/uplot/") {
			return err
		}
		text, err := web.ReadFile(path)
		for i, line := range strings.Split(string(text), "\n") {
			if found := forbidden.FindString(strings.ReplaceAll(line, `xmlns="http://www.w3.org/2000/svg"`, "")); found != "" {
				t.Errorf("%s:%d has %q", path, i+1, found)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPageIsOpen: behind the guard, the page needs no token, but all that the host and the site must be; the rest does.
func TestPageIsOpen(t *testing.T) {
	t.Parallel()
	var lines lockedLines
	door := control.Address{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&lines, nil))}.WithPage(Handler(), "")
	stop, err := door.Answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "inside") }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	url := regexp.MustCompile(`url=(\S+)/`).FindStringSubmatch(lines.text())[1]
	for _, test := range []struct {
		method, path, host, site string
		want                     int
	}{
		{"GET", "/", "", "", 200}, {"HEAD", "/", "", "", 200}, {"GET", "/dashboard/main.js", "", "same-origin", 200}, {"GET", "/dashboard/none.js", "", "", 404},
		{"GET", "/", "evil.example", "", 421}, {"GET", "/dashboard/main.js", "", "cross-site", 403}, {"POST", "/", "", "", 401}, {"POST", "/dashboard/main.js", "", "", 401},
		{"GET", "/dashboardx", "", "", 401}, {"GET", "/dashboard", "", "", 401}, {"GET", "/api/v1/status", "", "", 401}, {"GET", "/metrics", "", "", 401},
		{"GET", "/dashboard/../api/v1/status", "", "", 400}, {"GET", "/dashboard/%2e%2e/api", "", "", 400}, {"GET", "/dashboard//main.js", "", "", 400},
	} {
		request, err := http.NewRequest(test.method, url+test.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		if test.site != "" {
			request.Header.Set("Sec-Fetch-Site", test.site)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != test.want || strings.Contains(string(text), "inside") {
			t.Errorf("%+v: %d %.80s", test, response.StatusCode, text)
		}
		if response.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(response.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%+v: %v", test, response.Header)
		}
	}
}
