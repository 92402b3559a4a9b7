package main

import (
	"os"
	"path/filepath"
	"testing"

	"apquic/certs"
	"apquic/internal/settings"
	"apquic/quicproxy/node"
)

// TestMembership: the settings and the remembered server determine where the node connects, whom it trusts,
// and whether it may show its secret.
func TestMembership(t *testing.T) {
	t.Parallel()
	old, present, next, other := certs.NodeID{1}, certs.NodeID{2}, certs.NodeID{3}, certs.NodeID{4}
	invitation := func(id certs.NodeID, host, secret string) certs.Invitation {
		return certs.Invitation{Server: id, Host: host, Port: 1, Secret: []byte(secret)}
	}
	for name, test := range map[string]struct {
		given   certs.Invitation
		fresh   bool // nothing is kept
		want    node.Config
		changes bool // a welcome changes what is kept
	}{
		"nothing is given":        {want: node.Config{Server: present, Next: next, Address: "kept:1", Known: true}},
		"the same":                {given: invitation(present, "kept", "used"), want: node.Config{Server: present, Next: next, Address: "kept:1", Known: true}},
		"without its secret":      {given: invitation(present, "kept", ""), want: node.Config{Server: present, Next: next, Address: "kept:1", Known: true}},
		"an old id":               {given: invitation(old, "kept", "used"), want: node.Config{Server: present, Next: next, Address: "kept:1", Known: true}},
		"another host":            {given: invitation(present, "moved", "used"), want: node.Config{Server: present, Next: next, Address: "moved:1", Known: true}, changes: true},
		"a new secret":            {given: invitation(present, "kept", "new"), want: node.Config{Server: present, Next: next, Address: "kept:1", JoinSecret: []byte("new")}, changes: true},
		"another server":          {given: invitation(other, "kept", "used"), want: node.Config{Server: other, Address: "kept:1", JoinSecret: []byte("used")}, changes: true},
		"the first server":        {fresh: true, given: invitation(present, "kept", "used"), want: node.Config{Server: present, Address: "kept:1", JoinSecret: []byte("used")}, changes: true},
		"the first, no secret":    {fresh: true, given: invitation(present, "kept", ""), want: node.Config{Server: present, Address: "kept:1"}, changes: true},
		"the announced id itself": {given: invitation(next, "kept", "new"), want: node.Config{Server: next, Address: "kept:1", JoinSecret: []byte("new")}, changes: true},
	} {
		config := settings.Node{DataDir: t.TempDir(), Server: test.given}
		path := filepath.Join(config.DataDir, serverName)
		if !test.fresh {
			kept := certs.KnownServer{Invitation: invitation(old, "kept", "")}
			kept.Spend([]byte("used"))
			kept.Next = present
			if err := kept.Follow(present, next); err != nil {
				t.Fatal(err)
			}
			if err := kept.Save(path); err != nil {
				t.Fatal(err)
			}
		}
		m, err := findServer(&config)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		before := m.stored
		if m.replaces() != (name == "another server") {
			t.Errorf("%s: takes the place of the one before: %v", name, m.replaces())
		}
		var got node.Config
		m.configure(&got)
		if got.Server != test.want.Server || got.Next != test.want.Next || got.Address != test.want.Address ||
			string(got.JoinSecret) != string(test.want.JoinSecret) || got.Known != test.want.Known {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
		if config.Server.Server.IsZero() {
			t.Errorf("%s: the settings have no server", name)
		}
		if err := m.welcomed(node.Welcome{Server: got.Server, Next: got.Next}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		after, err := certs.LoadKnownServer(path)
		if err != nil || after.Equal(before) == test.changes {
			t.Errorf("%s: kept %+v, before %+v, %v", name, after, before, err)
		}
		if !after.Spent(test.given.Secret) {
			t.Errorf("%s: the secret would be shown again", name)
		}
	}
}

// TestServerCannotWearOutDisk: a server that keeps changing its Welcome makes the node write only rarely.
func TestServerCannotWearOutDisk(t *testing.T) {
	t.Parallel()
	config := settings.Node{DataDir: t.TempDir(), Server: certs.Invitation{Server: certs.NodeID{1}, Host: "host", Port: 1}}
	m, err := findServer(&config)
	if err != nil {
		t.Fatal(err)
	}
	changes, last := 0, certs.KnownServer{}
	for i := range 1000 {
		if err := m.welcomed(node.Welcome{Server: certs.NodeID{1}, Next: certs.NodeID{2, byte(i), byte(i >> 8)}}); err != nil {
			t.Fatal(err)
		}
		kept, err := certs.LoadKnownServer(m.path)
		if err != nil {
			t.Fatal(err)
		}
		if !kept.Equal(last) {
			changes++
		}
		last = kept
	}
	if changes > 20 || m.known.Next != (certs.NodeID{2, 999 & 0xff, 999 >> 8}) {
		t.Errorf("%d writes, and %v is next", changes, m.known.Next)
	}
}

// TestNoMembership: without a server there is nothing to connect to, which the settings report.
func TestNoMembership(t *testing.T) {
	t.Parallel()
	config := settings.Node{DataDir: t.TempDir()}
	if _, err := findServer(&config); err != nil || !config.Server.Server.IsZero() {
		t.Errorf("%+v, %v", config.Server, err)
	}
}

// TestLooseDataDir: whoever can write the node's directory decides which server it trusts.
func TestLooseDataDir(t *testing.T) {
	t.Parallel()
	config := settings.Node{DataDir: t.TempDir()}
	for mode, refused := range map[os.FileMode]bool{0o777: true, 0o770: true, 0o755: false, 0o700: false} {
		if err := os.Chmod(config.DataDir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := findServer(&config); (err != nil) != refused {
			t.Errorf("%o: %v", mode, err)
		}
	}
	config.DataDir = filepath.Join(config.DataDir, "later")
	if _, err := findServer(&config); err != nil {
		t.Errorf("without a directory: %v", err)
	}
}

// TestForgottenServer: a server that was left is not stored again by a connection that ends meanwhile.
func TestForgottenServer(t *testing.T) {
	t.Parallel()
	config := settings.Node{DataDir: t.TempDir(), Server: certs.Invitation{Server: certs.NodeID{1}, Host: "there", Port: 1}}
	m, err := findServer(&config)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.welcomed(node.Welcome{Server: certs.NodeID{1}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(config.DataDir, serverName)); err != nil {
		t.Fatal(err)
	}
	if err := m.forget(config.DataDir); err != nil {
		t.Fatal(err)
	}
	if err := m.welcomed(node.Welcome{Server: certs.NodeID{1}, Next: certs.NodeID{2}}); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(config.DataDir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
