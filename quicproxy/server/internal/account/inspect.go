package account

// Leftovers counts what nodes still cost, for tests, and returns how many connections have an account.
func (all *Accounts) Leftovers(count func(what string, n int)) (users int) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, a := range all.of {
		count("relays of an account", a.Relays.Len())
		count("streams of an account to private services", a.Streams.Len())
		count("bytes of an account", int(a.Memory.Used()))
		users += a.users
	}
	return users
}
