// Package dashboard is the page on which the owner of a program sees and steers it in a browser: files, embedded, which
// use the API like any other client. web/uplot is a copy of uPlot, with its licence.
//
// The files are for anybody who asks: they must have no secret and nothing of this program's state.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"apquic/internal/control"
)

//go:embed web
var web embed.FS

// types are those of the files; what the machine would say does not count.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	"":      "text/plain; charset=utf-8",
}

// policy lets the page load its own files alone, and run no script and no style that stands elsewhere. Text never
// becomes HTML or a script: a browser that knows trusted types does not let it. A picture may be in the page itself,
// as that of an invitation is.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// file is one of the page.
type file struct {
	content   []byte
	kind, tag string
}

// Handler serves the page at / and its files below [control.PagePath].
func Handler() http.Handler {
	files := make(map[string]file)
	err := fs.WalkDir(web, "web", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := web.ReadFile(name)
		sum := sha256.Sum256(content)
		at := control.PagePath + strings.TrimPrefix(name, "web/")
		if name == "web/index.html" {
			at = "/"
		}
		files[at] = file{content, types[path.Ext(name)], `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
		return err
	})
	if err != nil {
		panic(err) // what is embedded can be read
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Content-Type", f.kind)
		h.Set("ETag", f.tag)
		h.Set("Cache-Control", "no-cache") // ask each time whether it has changed: programs are updated
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
	})
}
