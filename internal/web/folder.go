package web

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"apquic/internal/domain"
)

// maxPairs bounds the certificates of a Folder.
const maxPairs = 4096

// Folder is a folder of certificates with their keys, which is looked at again when it may have changed: NAME.crt or
// NAME.pem beside NAME.key, and folders with fullchain.pem beside privkey.pem, as certbot keeps them.
type Folder struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	pairs  map[string]*KeyPair         // by the file of the certificate
	byName map[string]*tls.Certificate // by the names in certificates, among them wildcards
	bad    map[string]bool             // files that were complained about
	looked time.Time
}

// OpenFolder reads a folder. What cannot be read is an error now, and later a warning.
func OpenFolder(path string, log *slog.Logger) (*Folder, error) {
	f := &Folder{path: path, log: log, pairs: make(map[string]*KeyPair), bad: make(map[string]bool)}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f, f.lookLocked()
}

// Certificate returns the certificate for a domain, which may be a wildcard; nil: there is none. If several are for it,
// it is the one that ends last.
func (f *Folder) Certificate(name string) *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) >= lookEvery {
		if err := f.lookLocked(); err != nil {
			f.log.Warn("certificates cannot be read", "err", err)
		}
	}
	if c := f.byName[name]; c != nil {
		return c
	}
	if wildcard, ok := domain.Wildcard(name); ok && !domain.IsWildcard(name) {
		return f.byName[wildcard]
	}
	return nil
}

// lookLocked reads what has changed. It returns the first error, and goes on with the others.
func (f *Folder) lookLocked() (first error) {
	f.looked = time.Now()
	files, err := f.list()
	if err != nil {
		return fmt.Errorf("the certificates: %w", err)
	}
	pairs, byName := make(map[string]*KeyPair), make(map[string]*tls.Certificate)
	for _, file := range files {
		pair, err := f.pairs[file[0]], error(nil)
		if pair == nil {
			pair, err = LoadKeyPair(file[0], file[1])
		}
		if err != nil {
			if !f.bad[file[0]] && first == nil {
				first = err
			}
			f.bad[file[0]] = true
			continue
		}
		delete(f.bad, file[0])
		pairs[file[0]] = pair
		c, err := pair.GetCertificate(nil)
		if err != nil || c.Leaf == nil {
			continue
		}
		for _, name := range c.Leaf.DNSNames {
			name = strings.ToLower(name)
			if other := byName[name]; other == nil || c.Leaf.NotAfter.After(other.Leaf.NotAfter) {
				byName[name] = c
			}
		}
	}
	f.pairs, f.byName = pairs, byName
	return first
}

// list returns the files of certificates and keys.
func (f *Folder) list() (pairs [][2]string, err error) {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		path := filepath.Join(f.path, entry.Name())
		stem, key := strings.TrimSuffix(path, filepath.Ext(path)), ""
		switch filepath.Ext(path) {
		case ".crt", ".pem":
			key = stem + ".key"
		default:
			path, key = filepath.Join(path, "fullchain.pem"), filepath.Join(path, "privkey.pem")
		}
		if exists(path) && exists(key) {
			pairs = append(pairs, [2]string{path, key})
		}
	}
	if len(pairs) > maxPairs {
		return nil, fmt.Errorf("%s has %d certificates, more than %d", f.path, len(pairs), maxPairs)
	}
	return slices.Clip(pairs), nil
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
