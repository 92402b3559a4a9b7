package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFolderOnTheWeb: a folder that the node serves, as curl sees it.
func TestFolderOnTheWeb(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	folder := filepath.Join(top, "www")
	for name, text := range map[string]string{"secret": "secret", "www/index.html": "<p>home", "www/video.mp4": "0123456789", "www/.env": "secret", "www/sub/a.txt": "a"} {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(folder, "out")); err != nil {
		t.Fatal(err)
	}
	n := newTunnel(t)
	node := launch(t, nil, "apquic-node", n.nodeFile(t, fmt.Sprintf(`{"site": {"upstream": "file:%s", "listing": true}}`, folder))...)
	waitFor(t, node.stdout, `tcp://.* -> file:`)
	ask := func(path string, more ...string) string {
		t.Helper()
		return curl(t, append([]string{"--noproxy", "*", "--path-as-is", "-w", " %{http_code}", "http://" + n.address() + path}, more...)...)
	}
	for path, want := range map[string]string{
		"/": "<p>home 200", "/sub/a.txt": "a 200", "/.env": "there is no such file\n 404", "/out": "there is no such file\n 404",
		"/../secret": "there is no such file\n 404", "/sub/../../secret": "there is no such file\n 404", "/%2e%2e/secret": "there is no such file\n 404",
	} {
		if got := ask(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := ask("/sub/"); !strings.Contains(got, `<a href="a.txt">a.txt</a>`) {
		t.Errorf("the list: %q", got)
	}
	if got := ask("/video.mp4", "-r", "3-5"); got != "345 206" {
		t.Errorf("a part: %q", got)
	}
	part := filepath.Join(top, "part")
	if err := os.WriteFile(part, []byte("0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask("/video.mp4", "-C", "-", "-o", part)
	if got, _ := os.ReadFile(part); string(got) != "0123456789" {
		t.Errorf("a resumed download: %q", got)
	}
	tag := filepath.Join(top, "etag")
	ask("/video.mp4", "--etag-save", tag, "-o", part)
	if got := ask("/video.mp4", "--etag-compare", tag); got != " 304" {
		t.Errorf("unchanged: %q", got)
	}
	if got := ask("/new", "-T", part); !strings.HasSuffix(got, " 405") {
		t.Errorf("an upload: %q", got)
	}
	if _, err := os.Stat(filepath.Join(folder, "new")); err == nil {
		t.Error("it was written")
	}
}
