//go:build unix

package certs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestRootFollowsNoLink: the server's user cannot make root create, or give away, a file elsewhere.
func TestRootFollowsNoLink(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act for another user")
	}
	t.Parallel()
	const nobody = 65534
	elsewhere := filepath.Join(t.TempDir(), "file")
	link := func(owner int) (*AuthorizedNodes, string) {
		directory := t.TempDir()
		path := filepath.Join(directory, "authorized_nodes")
		if err := errors.Join(os.Symlink(elsewhere, path), os.Chown(directory, owner, owner)); err != nil {
			t.Fatal(err)
		}
		return NewAuthorizedNodes(path), path
	}
	node := AuthorizedNode{ID: newIDs(t, 1)[0], Name: "pi"}

	nodes, path := link(nobody)
	if err := nodes.Allow(context.Background(), node); err == nil {
		t.Error("root followed a link in the directory of another user")
	}
	if _, err := os.Lstat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file elsewhere: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := nodes.Allow(context.Background(), node); err != nil {
		t.Errorf("without the link: %v", err)
	}
	// The owner of the directory may keep the file elsewhere.
	nodes, _ = link(0)
	if err := nodes.Allow(context.Background(), node); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(elsewhere); err != nil {
		t.Error(err)
	}
}
