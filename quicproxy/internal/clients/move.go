package clients

import (
	"errors"
	"time"
)

var errEvicted = errors.New("the connection had to make room for another one")

// Move gives a connection a place at another service instead of the one that it has, or says why not; then it
// keeps that. It does not count as another connection of its address.
func (c *Place) Move(to Service) error {
	p := c.places
	p.mu.Lock()
	evicted, err := p.moveLocked(c, to)
	p.mu.Unlock()
	for _, victim := range evicted {
		victim.evict()
	}
	return err
}

func (p *Places) moveLocked(c *Place, to Service) (evicted []*Place, err error) {
	if c.index < 0 {
		return nil, errEvicted
	}
	from, may := c.service, c.may
	p.leaveLocked(c)
	c.service, c.may = p.allowanceLocked(to)
	if evicted, err = p.makeRoomLocked(c, time.Now()); err != nil {
		c.service, c.may = from, may
		p.enterLocked(c)
	}
	return evicted, err
}
