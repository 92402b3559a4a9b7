package server

import (
	"container/list"
	"time"

	"apquic/certs"
	"apquic/quicproxy/internal/limit"
)

const (
	// accountMemory is how long an account outlives the last connection of its node: connecting anew does not give a
	// node its rates back.
	accountMemory = 10 * time.Minute
	// maxAway bounds the accounts of nodes that are away. Whoever has so many keys under --open is held by what their
	// network may do, see mayWrite.
	maxAway = 4096
)

// account is what one node may cost the server, over all its connections and processes: every allocation for the node
// asks it first.
type account struct {
	node   certs.NodeID
	memory *limit.Account

	traffic traffic

	users int           // connections; guarded by Server.mu
	since time.Time     // when the last connection left; guarded by Server.mu
	away  *list.Element // its place among those without connections; nil: it has some. Guarded by Server.mu
}

// accounts are those of all nodes that are here, or were lately. Server.mu guards them.
type accounts struct {
	of   map[certs.NodeID]*account
	away list.List // of *account; who left first comes first
}

// openAccount returns the account of a node for one more connection, which gives it back with closeAccount.
func (s *Server) openAccount(node certs.NodeID) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts.of[node]
	if a == nil {
		a = &account{node: node, memory: s.memory.Account(s.config.MemoryWeight(node)), traffic: newTraffic(s.config.MaxServices)}
		s.accounts.of[node] = a
	} else if a.away != nil {
		s.accounts.away.Remove(a.away)
		a.away = nil
	}
	a.users++
	return a
}

func (s *Server) closeAccount(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.users--; a.users > 0 {
		return
	}
	a.since = time.Now()
	a.away = s.accounts.away.PushBack(a)
	s.accounts.forget()
}

// forget drops the accounts that nobody needs, and of too many those of the nodes that have been away for longest.
func (all *accounts) forget() {
	for first := all.away.Front(); first != nil; first = all.away.Front() {
		a := first.Value.(*account)
		if all.away.Len() <= maxAway && time.Since(a.since) < accountMemory {
			return
		}
		all.away.Remove(first)
		delete(all.of, a.node)
	}
}
