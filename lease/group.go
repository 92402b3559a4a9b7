package lease

// checkShared returns why a request would move the lease of a group that others use, or give it another
// transport. A wanted port that somebody else has moves nothing. It needs the turn.
func (l *Lessor) checkShared(r Request) error {
	e, known := l.get(r.Key)
	if !r.Shared || !known {
		return nil
	}
	free, _ := l.available(Endpoint{Port: r.WantedPort})
	moves := r.WantedPort != 0 && r.WantedPort != e.Port && free
	if moves || r.Domain != e.Domain || r.Transport != e.Transport {
		return &SharedError{e.Lease}
	}
	return nil
}
