package account

import (
	"testing"
	"testing/synctest"
	"time"

	"apquic/certs"
	"apquic/quicproxy/internal/memory"
)

// TestAccountsAreForgotten: accounts of nodes that are away are bounded, however many nodes are here, and the
// most recent are remembered: reconnecting does not give a new burst.
func TestAccountsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		accounts := memory.New(1 << 20)
		all := New(16, func(certs.NodeID) *memory.Account { return accounts.Account(1) })
		id := func(i int) certs.NodeID { return certs.NodeID{byte(i >> 16), byte(i >> 8), byte(i), 31: 1} }
		const here = maxAway + 1000
		for i := range here {
			all.Open(id(i))
		}
		spent := all.Open(id(1 << 20))
		all.Close(spent)
		for i := range maxAway - 1 {
			all.Close(all.Open(id(here + i)))
		}
		if all.Open(id(1<<20)) != spent {
			t.Error("a node that was away for a moment has a new account")
		}
		all.Close(spent)
		for i := range 20_000 {
			all.Close(all.Open(id(1<<21 + i)))
		}
		if n := len(all.of); n != here+maxAway {
			t.Errorf("%d accounts, want %d", n, here+maxAway)
		}
		if all.Open(id(1<<20)) == spent {
			t.Error("who left first is remembered")
		}
		time.Sleep(kept)
		all.Close(all.Open(id(1 << 22)))
		if n := all.away.Len(); n > 1 {
			t.Errorf("%d accounts of nodes that left long ago", n)
		}
	})
}
