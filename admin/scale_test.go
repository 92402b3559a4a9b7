package admin

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy/server"
)

// BenchmarkManyNodes is what a list of 5000 nodes takes, of which each is here and has a service.
func BenchmarkManyNodes(b *testing.B) {
	const count = 5000
	core := new(fakeCore)
	core.status.Traffic = make(map[lease.Endpoint]server.Traffic)
	directory := b.TempDir()
	var list []byte
	for i := range count {
		key, err := certs.GenerateKey()
		if err != nil {
			b.Fatal(err)
		}
		list = fmt.Appendf(list, "%v node-%d\n", key.ID(), i)
		port := uint16(10000 + i)
		core.status.Sessions = append(core.status.Sessions, server.SessionStatus{Node: key.ID(), Since: time.Now(), Address: "192.0.2.1:1", Primary: true})
		core.status.Leases = append(core.status.Leases, lease.Lease{Key: lease.Key{Node: key.ID(), Service: "web"}, Port: port})
		core.status.Traffic[lease.Endpoint{Port: port}] = server.Traffic{Clients: 1}
	}
	path := directory + "/authorized_nodes"
	if err := os.WriteFile(path, list, 0o600); err != nil {
		b.Fatal(err)
	}
	a := &Authority{Nodes: certs.NewAuthorizedNodes(path), Core: core, Address: func() (string, uint16, error) { return "", 0, io.EOF }}
	b.Run("nodes", func(b *testing.B) {
		for b.Loop() {
			if nodes, err := a.ListNodes(b.Context()); err != nil || len(nodes) != count {
				b.Fatal(len(nodes), err)
			}
		}
	})
	b.Run("status", func(b *testing.B) {
		for b.Loop() {
			if status, err := a.Status(b.Context()); err != nil || len(status.Services) != count {
				b.Fatal(err)
			}
		}
	})
}
