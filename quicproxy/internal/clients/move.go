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
	from, perAddress := c.service, c.perAddress
	p.leaveLocked(c)
	c.service, c.perAddress = to.split(p.perAddress)
	if evicted, err = p.makeRoomLocked(c, time.Now()); err != nil {
		c.service, c.perAddress = from, perAddress
		p.enterLocked(c)
	}
	return evicted, err
}
