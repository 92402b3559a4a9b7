package memory

import (
	"net/netip"
	"slices"
	"sync"

	"apquic/quicproxy/internal/netaddr"
)

// NetworkAccounts are the accounts of public clients' addresses; in IPv6 an address is a /64. A larger
// network has more accounts, but together they have no more than the weight of the network.
type NetworkAccounts struct {
	memory *Accounts

	mu sync.Mutex
	of map[netip.Prefix]*networkAccount
}

// networkAccount is an address, or a network of addresses.
type networkAccount struct {
	*Account // of an address
	group    *group
	users    int
}

// NewNetworkAccounts makes accounts of a budget.
func NewNetworkAccounts(m *Accounts) *NetworkAccounts {
	return &NetworkAccounts{memory: m, of: make(map[netip.Prefix]*networkAccount)}
}

// Open returns the account of an address, the same for all its present users, and a function that releases
// it. Those without a valid address share one.
func (n *NetworkAccounts) Open(address netip.Addr) (account *Account, leave func()) {
	networks := netaddr.Networks(address)
	n.mu.Lock()
	defer n.mu.Unlock()
	outer := &n.memory.all
	for i, network := range slices.Backward(networks) {
		a := n.of[network.Prefix]
		switch {
		case a != nil:
		case i > 0:
			a = &networkAccount{group: &group{parent: outer, most: int64(network.Weight)}}
		default:
			a = &networkAccount{Account: n.memory.accountIn(outer, 1)}
		}
		a.users++
		n.of[network.Prefix] = a
		account, outer = a.Account, a.group
	}
	return account, func() { n.leave(networks) }
}

func (n *NetworkAccounts) leave(networks []netaddr.Network) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, network := range networks {
		if n.of[network.Prefix].users--; n.of[network.Prefix].users == 0 {
			delete(n.of, network.Prefix)
		}
	}
}

// Len is how many addresses and networks have an account.
func (n *NetworkAccounts) Len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.of)
}
