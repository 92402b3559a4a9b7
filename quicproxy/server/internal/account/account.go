// Package account keeps what each node costs a server: one account per node, over all its connections and
// processes, and for a while after the last one. Nodes that nobody knows share what their network may have.
//
// It must not know connections or sessions.
package account

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"apquic/certs"
	"apquic/quicproxy/internal/limit"
	"apquic/quicproxy/internal/memory"
)

const (
	// kept is how long an account outlives the last connection of its node, so that reconnecting does not
	// give a node its rates back.
	kept = 10 * time.Minute
	// maxAway bounds the accounts of nodes that are away. An attacker with that many keys,
	// under --open, is held by the limits of its network.
	maxAway = 4096
)

// Account is what one node may cost the server: every allocation for the node asks it first.
type Account struct {
	Memory   *memory.Account
	Requests *Requests
	Messages *limit.Messages
	Relays   limit.Count // running, or waiting for an ack after their client left; MaxRelays at most

	Connects   *Requests   // to private services
	Streams    limit.Count // of those
	Connecting limit.Count // connections that do nothing else

	node      certs.NodeID
	maxRelays atomic.Int64

	// Guarded by Accounts.mu.
	users int           // connections
	since time.Time     // when the last connection left
	away  *list.Element // its place among those without connections; nil: it has some
}

// Accounts are those of all nodes that are here, or were recently.
type Accounts struct {
	memory func(certs.NodeID) *memory.Account

	mu          sync.Mutex
	maxServices int
	of          map[certs.NodeID]*Account
	away        list.List // of *Account; the first to leave comes first
}

// New makes accounts for nodes that may have maxServices each; memory opens the memory account of a node.
func New(maxServices int, memory func(certs.NodeID) *memory.Account) *Accounts {
	return &Accounts{memory: memory, maxServices: maxServices, of: make(map[certs.NodeID]*Account)}
}

// SetMaxServices lets nodes have that many services each, and ask for them.
func (all *Accounts) SetMaxServices(services int) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.maxServices = services
	for _, a := range all.of {
		a.Requests.SetServices(services)
	}
}

// Open returns the account of a node for one more connection, which must return it with Close.
func (all *Accounts) Open(node certs.NodeID) *Account {
	all.mu.Lock()
	defer all.mu.Unlock()
	a := all.of[node]
	if a == nil {
		a = &Account{
			node: node, Memory: all.memory(node), Requests: newRequests(all.maxServices), Messages: limit.NewMessages(), Connects: newConnects(),
		}
		all.of[node] = a
	} else if a.away != nil {
		all.away.Remove(a.away)
		a.away = nil
	}
	a.users++
	return a
}

// Close returns an account.
func (all *Accounts) Close(a *Account) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if a.users--; a.users > 0 {
		return
	}
	a.since = time.Now()
	a.away = all.away.PushBack(a)
	all.forgetLocked()
}

// forgetLocked drops accounts that are no longer needed, and those of the nodes that have been away longest
// if there are too many.
func (all *Accounts) forgetLocked() {
	for first := all.away.Front(); first != nil; first = all.away.Front() {
		a := first.Value.(*Account)
		if all.away.Len() <= maxAway && time.Since(a.since) < kept {
			return
		}
		all.away.Remove(first)
		delete(all.of, a.node)
	}
}
