package association

// Renew resumes the relays of a connection that answers again after an outage, if they have sent what was not
// acked: over another connection, or over new streams of the same one. What is under way on an old stream
// waits for QUIC's retransmission timer, perhaps as long as the outage lasted; a new stream begins at once.
func (a *Association) Renew(c *Carrier) {
	for _, m := range c.Relays.All() {
		if m.HasUnacked() {
			m.Lost(c)
		}
	}
}
