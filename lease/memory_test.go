package lease_test

import (
	"testing"

	"apquic/lease"
	"apquic/lease/leasetest"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	leasetest.Run(t, func(t *testing.T) lease.Store {
		store := lease.NewMemoryStore()
		t.Cleanup(func() { store.Close() })
		return store
	}, nil)
}
