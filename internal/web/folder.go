package web

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"apquic/internal/domain"
	"apquic/internal/watchfile"
)

// maxPairs bounds the certificates of a Folder.
const maxPairs = 4096

// Folder is a folder of certificates with their keys, which is looked at again when it may have changed: NAME.crt or
// NAME.pem beside NAME.key, and folders with fullchain.pem beside privkey.pem, as certbot keeps them.
type Folder struct {
	pairs *watchfile.Content[pairs]
}

// pairs are the certificates of a Folder, by their files, and by the names in them, among them wildcards.
type pairs struct{ byFile, byName map[string]*tls.Certificate }

// OpenFolder reads a folder. What cannot be read is an error now, and later a warning.
func OpenFolder(path string, log *slog.Logger) (*Folder, error) {
	content, err := watchfile.Open(watchfile.Source[pairs]{
		Name: "the folder of certificates " + path, Log: log,
		Files: func() ([]string, error) { return list(path) },
		Read:  func(last *pairs) (*pairs, error) { return readFolder(path, last) },
	})
	return &Folder{content}, err
}

// Certificate returns the certificate for a domain, which may be a wildcard; nil: there is none. If several are for it,
// it is the one that ends last.
func (f *Folder) Certificate(name string) *tls.Certificate {
	byName := f.pairs.Get().byName
	if c := byName[name]; c != nil {
		return c
	}
	if wildcard, ok := domain.Wildcard(name); ok && !domain.IsWildcard(name) {
		return byName[wildcard]
	}
	return nil
}

// readFolder reads all pairs. Of one that cannot be read the last one stays in use.
func readFolder(path string, last *pairs) (*pairs, error) {
	files, err := list(path)
	if err != nil {
		return nil, err
	}
	p := &pairs{make(map[string]*tls.Certificate), make(map[string]*tls.Certificate)}
	var failed []error
	for i := 0; i < len(files); i += 2 {
		c, err := readKeyPair(files[i], files[i+1])
		if err != nil {
			failed = append(failed, err)
			if last == nil || last.byFile[files[i]] == nil {
				continue
			}
			c = last.byFile[files[i]]
		}
		p.byFile[files[i]] = c
		for _, name := range c.Leaf.DNSNames {
			name = strings.ToLower(name)
			if other := p.byName[name]; other == nil || c.Leaf.NotAfter.After(other.Leaf.NotAfter) {
				p.byName[name] = c
			}
		}
	}
	return p, errors.Join(failed...)
}

// list returns the files of a folder's certificates, each with its key behind it.
func list(folder string) (files []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("the certificates: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		stem, key := strings.TrimSuffix(path, filepath.Ext(path)), ""
		switch filepath.Ext(path) {
		case ".crt", ".pem":
			key = stem + ".key"
		default:
			path, key = filepath.Join(path, "fullchain.pem"), filepath.Join(path, "privkey.pem")
		}
		if exists(path) && exists(key) {
			files = append(files, path, key)
		}
	}
	if n := len(files) / 2; n > maxPairs {
		return nil, fmt.Errorf("the certificates: %s has %d, more than %d", folder, n, maxPairs)
	}
	return files, nil
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
