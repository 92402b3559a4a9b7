package lease

import "time"

// obstacle is why an endpoint could not be opened, and until when it is tried only if somebody asks for it by
// number.
type obstacle struct {
	cause error
	until time.Time
}

// get returns a copy of the entry of key; zero if there is none.
func (l *Lessor) get(key Key) (e entry, found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := l.entries[key]; found != nil {
		return *found, true
	}
	return entry{}, false
}

// set makes e the entry of its key. It needs the turn.
func (l *Lessor) set(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.entries[e.Key]; old != nil {
		delete(l.owners, old.Endpoint())
	}
	delete(l.stray, e.Key)
	l.unused.remove(e.Port)
	l.entries[e.Key], l.owners[e.Endpoint()] = &e, e.Key
	if l.nodes[e.Node] == nil {
		l.nodes[e.Node] = make(map[string]*entry)
	}
	l.nodes[e.Node][e.Service] = &e
}

// deleteLocked forgets the entry of a key.
func (l *Lessor) deleteLocked(key Key) {
	delete(l.entries, key)
	if delete(l.nodes[key.Node], key.Service); len(l.nodes[key.Node]) == 0 {
		delete(l.nodes, key.Node)
	}
}

// succeed makes e the entry of its key, and ends the entry of from, if there is one, whose endpoint it takes
// over. It needs the turn.
func (l *Lessor) succeed(from Key, e entry) {
	l.mu.Lock()
	l.deleteLocked(from)
	l.mu.Unlock()
	l.set(e)
}

// update changes the entry of key, if there is one, but not its key or endpoint.
func (l *Lessor) update(key Key, change func(*entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[key]; e != nil {
		change(e)
	}
}

// remove forgets a lease and closes its endpoint. It needs the turn.
func (l *Lessor) remove(e entry) {
	if e.bound {
		l.binder.Unbind(e.Lease)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleteLocked(e.Key)
	delete(l.owners, e.Endpoint())
}

// markUnsure notes that the store's record of key may differ from memory, perhaps with this endpoint.
// Run resolves that.
func (l *Lessor) markUnsure(key Key, endpoint Endpoint) {
	l.mu.Lock()
	if e := l.entries[key]; e != nil {
		e.unsure = true
	} else {
		l.stray[key] = endpoint
	}
	l.mu.Unlock()
	l.wakeRun()
}

// available reports whether nobody has it, and whether it has no obstacle at the moment.
func (l *Lessor) available(endpoint Endpoint) (free, sensible bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, owned := l.owners[endpoint]
	return !owned, !l.avoid[endpoint].until.After(time.Now())
}

// obstruct makes an endpoint be skipped for a while. It reports whether that is new.
func (l *Lessor) obstruct(endpoint Endpoint, cause error, pause time.Duration) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.avoid[endpoint]
	l.avoid[endpoint] = obstacle{cause: cause, until: time.Now().Add(pause)}
	return !known
}

// clear undoes obstruct.
func (l *Lessor) clear(endpoint Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.avoid, endpoint)
}
