package carrier

// Leftovers counts what is left, for tests, and returns how many connections are watched.
func (b *Budget) Leftovers(count func(what string, n int)) (conns int) {
	count("bytes of memory", int(b.Used()))
	count("accounts of clients", b.From.Len())
	b.mu.Lock()
	defer b.mu.Unlock()
	count("relays in the memory budget", len(b.relays))
	count("dials in the memory budget", len(b.dialing))
	return len(b.carriers)
}

// Leftovers counts what the connection still carries, for tests.
func (c *Conn) Leftovers(count func(what string, n int)) {
	count("relays on a connection", c.Relays.Len())
	if _, any := c.streams.unread(); any {
		count("streams without a relay", 1)
	}
}
