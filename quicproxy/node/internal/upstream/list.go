package upstream

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

// maxList is how many files of a folder a list has.
const maxList = 10_000

// serveList answers with a list of what is in a folder.
func serveList(w http.ResponseWriter, r *http.Request, file *os.File) {
	entries, err := file.ReadDir(maxList)
	if err != nil && len(entries) == 0 && err != io.EOF {
		fail(w, err)
		return
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		name := entry.Name()
		if isHidden(name) {
			continue
		}
		if entry.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	fmt.Fprint(w, "<!doctype html>\n<meta charset=utf-8><meta name=viewport content=\"width=device-width\">\n<title>Files</title>\n")
	if strings.Trim(r.URL.Path, "/") != "" {
		fmt.Fprint(w, "<p><a href=\"../\">../</a>\n")
	}
	for _, name := range names {
		link := url.URL{Path: name}
		fmt.Fprintf(w, "<p><a href=\"%s\">%s</a>\n", html.EscapeString(link.String()), html.EscapeString(name))
	}
	if len(entries) == maxList {
		fmt.Fprintf(w, "<p>and more, beyond %d\n", maxList)
	}
}
