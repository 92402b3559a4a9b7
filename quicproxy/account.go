package quicproxy

import (
	"time"

	"apquic/certs"
	"apquic/quicproxy/internal/limit"
)

const (
	// accountMemory is how long an account outlives the last connection of its node: connecting anew does not give a
	// node its rates back.
	accountMemory = 10 * time.Minute
	// maxAccounts bounds the accounts of nodes that are away.
	maxAccounts = 4096
)

// account is what one node may cost the server, over all its connections and processes: every allocation for the node
// asks it first.
type account struct {
	node   certs.NodeID
	memory *limit.Account

	traffic traffic

	users int       // connections; guarded by Server.mu
	since time.Time // when the last connection left; guarded by Server.mu
}

// openAccount returns the account of a node for one more connection, which gives it back with closeAccount.
func (s *Server) openAccount(node certs.NodeID) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[node]
	if a == nil {
		s.forgetAccountsLocked()
		a = &account{node: node, memory: s.memory.Account(s.config.MemoryWeight(node)), traffic: newTraffic(s.config.MaxServices)}
		s.accounts[node] = a
	}
	a.users++
	return a
}

func (s *Server) closeAccount(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.users--
	a.since = time.Now()
}

// forgetAccountsLocked drops the accounts that nobody needs; above the limit also the next best that are not in use.
func (s *Server) forgetAccountsLocked() {
	if len(s.accounts) < maxAccounts {
		return
	}
	for node, a := range s.accounts {
		if a.users == 0 && time.Since(a.since) > accountMemory {
			delete(s.accounts, node)
		}
	}
	for node, a := range s.accounts {
		if len(s.accounts) < maxAccounts {
			return
		}
		if a.users == 0 {
			delete(s.accounts, node)
		}
	}
}
