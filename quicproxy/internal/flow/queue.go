package flow

import "apquic/framing"

const (
	// maxQueued bounds what waits to be sent on a connection, in bytes: 80 ms at 100 Mbit/s.
	maxQueued = 1 << 20
	// itemCost is what a datagram that waits costs beside its bytes.
	itemCost = 64
)

// item is an encoded datagram that waits.
type item struct {
	service string
	data    []byte
}

func (i item) cost() int { return len(i.data) + itemCost }

// hasPayload looks at the kind, which is the low bits of the varint that a datagram begins with.
func (i item) hasPayload() bool { return framing.DatagramKind(i.data[0]&3) <= framing.DatagramFirst }

// queue has the datagrams of a connection, first come first served within each service, while services get
// equal shares of bytes (start-time fair queueing, Goyal et al. 1996). Its zero value is empty.
type queue struct {
	services map[string]*waiting
	cost     int
	now      uint64 // virtual time: what each service that always had something was given
}

// waiting is what a service has in a queue.
type waiting struct {
	items []item
	cost  int
	start uint64 // the virtual time at which its first item may go
}

// push adds an item, and returns how many old ones had to go for it.
func (q *queue) push(i item) (dropped int) {
	w := q.services[i.service]
	if w == nil {
		if q.services == nil {
			q.services = make(map[string]*waiting)
		}
		w = &waiting{start: q.now}
		q.services[i.service] = w
	}
	w.items = append(w.items, i)
	w.cost += i.cost()
	for q.cost += i.cost(); q.cost > maxQueued; dropped++ {
		q.drop()
	}
	return dropped
}

// drop removes the oldest item of the service that has the most.
func (q *queue) drop() {
	var most *waiting
	for _, w := range q.services {
		if most == nil || w.cost > most.cost {
			most = w
		}
	}
	q.remove(most)
}

// pop returns the next item; false: there is none.
func (q *queue) pop() (item, bool) {
	var next *waiting
	for _, w := range q.services {
		if next == nil || w.start < next.start || w.start == next.start && w.items[0].service < next.items[0].service {
			next = w
		}
	}
	if next == nil {
		return item{}, false
	}
	q.now = next.start
	i := q.remove(next)
	next.start += uint64(i.cost())
	return i, true
}

// remove takes the first item of a service out.
func (q *queue) remove(w *waiting) item {
	i := w.items[0]
	w.items[0] = item{}
	w.items = w.items[1:]
	w.cost -= i.cost()
	q.cost -= i.cost()
	if len(w.items) == 0 {
		delete(q.services, i.service)
	}
	return i
}

// clear empties the queue and returns how many items it had.
func (q *queue) clear() (dropped int) {
	for _, w := range q.services {
		dropped += len(w.items)
	}
	*q = queue{now: q.now}
	return dropped
}
