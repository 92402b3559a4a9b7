package upstream

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"

	"apquic/internal/hint"
)

// folder serves the files in a folder over HTTP: it never writes, never leaves the folder, whatever links are
// in it, and has no files whose name, or folder's name, begins with a dot.
type folder struct {
	path    string
	listing bool // of folders without index.html
}

// check returns why the folder cannot be served.
func (f *folder) check() error {
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return hint.Add(fmt.Errorf("the folder cannot be read: %w", err), "check the path, and that the user of this program may read the folder")
	}
	return root.Close()
}

// ServeHTTP implements http.Handler.
func (f *folder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this folder is read only", http.StatusMethodNotAllowed)
		return
	}
	root, err := os.OpenRoot(f.path) // each time: it may be replaced, or mounted later
	if err != nil {
		fail(w, err)
		return
	}
	defer root.Close()
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if isHidden(name) {
		fail(w, fs.ErrNotExist)
		return
	}
	if name == "" {
		name = "."
	}
	file, info, err := open(root, name)
	if err != nil {
		fail(w, err)
		return
	}
	defer file.Close()
	asFolder := strings.HasSuffix(r.URL.Path, "/")
	switch {
	case info.IsDir() && !asFolder:
		to := url.URL{Path: path.Base(name) + "/", RawQuery: r.URL.RawQuery} // relative: it names no host
		w.Header().Set("Location", to.String())
		w.WriteHeader(http.StatusMovedPermanently)
	case info.IsDir():
		f.serveFolder(w, r, root, file, name)
	case asFolder:
		fail(w, fs.ErrNotExist)
	default:
		serveFile(w, r, file, info)
	}
}

// serveFolder answers with its index.html, or else a list of what is in it, if there are lists.
func (f *folder) serveFolder(w http.ResponseWriter, r *http.Request, root *os.Root, file *os.File, name string) {
	index, info, err := open(root, path.Join(name, "index.html"))
	if err == nil {
		defer index.Close()
	}
	switch {
	case err == nil && !info.IsDir():
		serveFile(w, r, index, info)
	case f.listing:
		serveList(w, r, file)
	default:
		http.Error(w, "there is no index.html here, and no list of the files", http.StatusForbidden)
	}
}

// serveFile answers with a file, a part of it, or that it has not changed.
func serveFile(w http.ResponseWriter, r *http.Request, file *os.File, info fs.FileInfo) {
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, info.Name(), info.ModTime(), file)
}

// open opens a file or a folder, and nothing else. Without O_NONBLOCK a pipe would keep the visitor, and a
// thread, until somebody writes to it.
func open(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// isHidden reports whether any part of the name begins with a dot.
func isHidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return true
		}
	}
	return false
}

// fail answers that there is no such file. The visitor need not know more, except that it may come again.
func fail(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		http.Error(w, "this may not be read", http.StatusForbidden)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		http.Error(w, "too many files are open", http.StatusServiceUnavailable)
	default:
		http.Error(w, "there is no such file", http.StatusNotFound)
	}
}
