package acme

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	// sweepEvery is how often the folder is looked through.
	sweepEvery = 24 * time.Hour
	// endedFor is for how long a certificate must have ended before its file goes, and the file must not have changed: the
	// clock may be wrong for a while.
	endedFor = 30 * 24 * time.Hour
	// maxFile is how large a file of ours may be.
	maxFile = 1 << 20
)

// sweep deletes ended certificates of domains that nobody has. Owners of domains could fill the disk otherwise.
func (c *Certificates) sweep(ctx context.Context, now time.Time) {
	entries, _ := os.ReadDir(string(c.cache)) // without a folder there are none
	deleted := 0
	for _, entry := range entries {
		if ctx.Err() != nil {
			return
		}
		if c.hasEnded(entry, now) && c.delete(entry.Name()) {
			deleted++
		}
	}
	if deleted > 0 {
		c.log.Info("ended certificates of domains that nobody has were deleted", "certificates", deleted)
	}
}

// hasEnded reports whether a file is a certificate of ours that ended long ago.
func (c *Certificates) hasEnded(entry fs.DirEntry, now time.Time) bool {
	info, err := entry.Info()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxFile || now.Sub(info.ModTime()) < endedFor {
		return false
	}
	rest, err := os.ReadFile(filepath.Join(string(c.cache), entry.Name()))
	if err != nil {
		return false
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return false
		}
		if block.Type == certificateBlock {
			leaf, err := x509.ParseCertificate(block.Bytes)
			return err == nil && now.Sub(leaf.NotAfter) >= endedFor
		}
	}
}

// delete deletes the file of a domain that nobody has and for which no order is on its way.
func (c *Certificates) delete(domain string) bool {
	c.mu.Lock()
	defer c.mu.Unlock() // no order begins meanwhile
	if s := c.domains[domain]; s != nil && (s.wanted || s.looking) {
		return false
	}
	return os.Remove(filepath.Join(string(c.cache), domain)) == nil
}
