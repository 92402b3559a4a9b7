package lease_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"apquic/certs"
	"apquic/lease"
)

const benchmarkLeases = 10_000

// takenPorts is a machine where other programs have the ports below.
type takenPorts struct{ below uint16 }

func (p takenPorts) Bind(l lease.Lease) error {
	if l.Port < p.below {
		return errors.New("address already in use")
	}
	return nil
}

func (p takenPorts) Unbind(lease.Lease) {}

func manyKeys(n int) []lease.Key {
	keys := make([]lease.Key, n)
	for i := range keys {
		node := certs.NodeID{31: 1}
		binary.BigEndian.PutUint32(node[:], uint32(i))
		keys[i] = lease.Key{Node: node, Service: "web"}
	}
	return keys
}

func benchmarkLessor(b *testing.B, ports string, binder lease.Binder) *lease.Lessor {
	b.Helper()
	lessor, err := lease.NewLessor(lease.Config{Store: lease.NewMemoryStore(), Ports: mustRange(b, ports), Binder: binder})
	if err == nil {
		err = lessor.Load(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	return lessor
}

func fill(b *testing.B, lessor *lease.Lessor, keys []lease.Key) {
	b.Helper()
	for _, key := range keys {
		if _, err := lessor.Grant(b.Context(), lease.Request{Key: key, Origin: "tcp://localhost:80", Services: []string{"web"}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGrants gives 10,000 new leases, one after the other.
func BenchmarkGrants(b *testing.B) {
	for name, taken := range map[string]uint16{"free": 0, "below-taken": 20000 + benchmarkLeases} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				fill(b, benchmarkLessor(b, "20000-45000", takenPorts{taken}), manyKeys(benchmarkLeases))
			}
		})
	}
}

// BenchmarkRenewals renews each of 10,000 leases.
func BenchmarkRenewals(b *testing.B) {
	lessor, keys := benchmarkLessor(b, "20000-45000", takenPorts{}), manyKeys(benchmarkLeases)
	fill(b, lessor, keys)
	for b.Loop() {
		fill(b, lessor, keys)
	}
}
