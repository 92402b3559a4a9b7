package public

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apquic/internal/usage"
	"apquic/lease"
	"apquic/quicproxy/internal/clients"
	"apquic/quicproxy/internal/flow"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/relay"
	"apquic/quicproxy/internal/visitors"
	"apquic/quicproxy/server/internal/accepting"
	"apquic/quicproxy/server/internal/balancer"
	"apquic/quicproxy/server/internal/descriptors"
	"apquic/quicproxy/server/internal/members"
	"apquic/quicproxy/server/internal/termination"
)

var (
	// ErrConnectionEnded, ErrNodeAway and ErrTooManyRelays are errors of Target.Relay: another connection of
	// the node may take the client, none came in time, or none may take it.
	ErrConnectionEnded = errors.New("the connection to the node ended")
	ErrNodeAway        = errors.New("the node did not come back in time")
	ErrTooManyRelays   = errors.New("the node has as many relays as it may have")

	errPortClosed = errors.New("the port was closed")
)

// Target is a connection of a node to which a listener gives its clients.
type Target interface {
	// Silent reports whether the node does not acknowledge what it is sent.
	Silent() bool
	// Relay carries a client until both sides have ended. It takes the client only if it returns nil.
	Relay(p *Listener, client *Client) error
	// FlowSender sends datagrams to a process of the node; nil: that takes none.
	FlowSender() (via *flow.Sender, process uint64)
	// Ask asks the node whether a service answers, until ctx ends.
	Ask(ctx context.Context, service string) error
}

// Listener takes the clients of a lease. It belongs to the lease, not to a connection: while the node is away,
// its clients wait.
type Listener struct {
	Key lease.Key
	lease.Endpoint

	all      *Listeners
	service  clients.Service // whose clients it has
	gate     *visitors.Gate  // whom of them it lets in
	listener net.Listener    // nil: clients do not use TCP, or it has a domain, whose clients come from shared sockets, or is private
	udp      *udpPort        // nil: clients do not use UDP
	private  bool            // without an endpoint; its clients are other nodes

	descriptors int       // of both
	closing     sync.Once // they are given back

	refused atomic.Uint64 // clients reset without a relay
	begun   atomic.Uint64 // flows
	settled usage.Counts  // what the ledger knows; guarded by Listeners.settling

	mu      sync.Mutex
	members members.Members[Target] // the nodes that offer the service
	name    string                  // that clients may come for
	mode    termination.Mode
	allowed []string             // who may connect to a private service
	closed  bool                 // the lease ended
	parking parking              // of clients, woken when one of the above changes
	clients int                  // now
	relays  map[*Client]struct{} // those that have one
	ended   Traffic              // of the relays that have ended
}

// accept takes clients from a socket until that is closed.
func (s *Listeners) accept(socket net.Listener, admit func(*Client), where slog.Attr) {
	accepting.Run(s.stopping, socket, func(conn net.Conn) { s.arrived(conn, admit, where) }, s.log, where)
}

// admit serves a client, or resets it if there are too many.
func (p *Listener) admit(c *Client) {
	if err := cmp.Or(p.welcome(c), p.checkEntrance()); err != nil {
		p.refuse(c, err)
		return
	}
	if p.all.place(c, p.clientsOf(), p.Attr(), p.refuse) {
		p.all.serving.Go(func() {
			defer c.Place.Leave()
			p.clientCame(1)
			defer p.clientCame(-1)
			p.serve(c)
		})
	}
}

// place gives a client a place, or resets it if there are too many.
func (s *Listeners) place(c *Client, service clients.Service, where slog.Attr, refuse func(*Client, error)) (ok bool) {
	place, err := s.config.Clients.Admit(service, netaddr.Endpoint(c.RemoteAddr()).Addr(), func() {
		s.log.Warn("a public connection was reset to make room for another one", where, "client", c.RemoteAddr())
		c.evict()
	})
	if errors.Is(err, clients.ErrAllFull) {
		err = &descriptors.Error{What: err.Error()}
	}
	if err != nil {
		refuse(c, err)
		return false
	}
	c.Place = place
	return true
}

// refuse resets a client, and counts and logs why.
func (p *Listener) refuse(client *Client, err error) {
	p.refused.Add(1)
	p.all.refuse(client, p.Attr(), p.gate.Count(err))
}

// refuse resets a client and logs why.
func (s *Listeners) refuse(client *Client, where slog.Attr, err error) {
	relay.ResetTCP(client.Conn)
	s.refused.Add(err)
	level := slog.LevelDebug
	if isLimit(err) {
		level = slog.LevelWarn
	}
	s.log.Log(context.Background(), level, "public connection refused", where, "client", client.RemoteAddr(), "err", err)
}

// serve relays one public connection, or resets it.
func (p *Listener) serve(client *Client) {
	deadline := time.Now().Add(p.all.Park())
	var tried []Target
	for {
		to, err := p.route(client, deadline, tried)
		if err == nil {
			err = p.relay(client, to)
			tried = append(p.stillThere(tried), to.Target)
		}
		if errors.Is(err, ErrConnectionEnded) {
			if client.Begun {
				deadline = time.Now().Add(p.all.Park()) // it had a relay until now
			}
			continue // the node's next connection may come at any moment
		}
		if errors.Is(err, ErrTooManyRelays) && p.canServe(tried) {
			continue // another node has room
		}
		switch {
		case errors.Is(err, errClientLeft):
			client.Close()
		case err != nil:
			p.refuse(client, err)
		}
		return
	}
}

// relay has the client's connection carry it until both sides have ended.
func (p *Listener) relay(client *Client, to *assigned) error {
	client.Offer, client.Refused = to.offer, false
	err := p.gate.Allows(client.from()) // it may have come before the rules were known
	switch {
	case err != nil:
	case client.TLS && p.Mode() != termination.Passed:
		err = errOtherMode // since the client came
	default:
		err = to.Relay(p, client)
	}
	p.left(to.member, client.Refused)
	return err
}

// route waits for a connection that takes relays, other than those already tried, until the deadline or
// until the client leaves. The client counts there until it has left.
func (p *Listener) route(client *Client, deadline time.Time, tried []Target) (*assigned, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to, err := p.targetLocked(tried); to != nil || err != nil {
		return to, err
	}
	w, err := p.parking.enterLocked(client, deadline)
	if err != nil {
		return nil, err
	}
	defer p.parking.leaveLocked(w)
	for {
		w.Arm() // any later change wakes it
		if to, err := p.targetLocked(tried); to != nil || err != nil {
			return to, err
		}
		p.mu.Unlock()
		err := w.wait()
		p.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
}

// targetLocked returns where a relay can go now; nil: nowhere.
func (p *Listener) targetLocked(tried []Target) (*assigned, error) {
	if p.closed {
		return nil, errPortClosed
	}
	return p.assignLocked(tried), nil
}

// stopAccepting leaves new clients in the queue of the listener, which stays open, and resets those that
// wait: a client that retries at once waits in that queue, too.
func (p *Listener) stopAccepting() {
	p.change(func() { p.closed = true })
	if p.listener != nil {
		accepting.Stop(p.listener)
	}
}

// close ends the listener and resets the clients that wait. Nobody is its member from then on: the lease may
// go on with another listener, from which the end of this one's members must not take anything.
func (p *Listener) close() {
	p.change(func() {
		p.closed = true
		p.members.LeaveAll()
	})
	p.closeSockets()
}

// change sets fields, and wakes the waiting clients.
func (p *Listener) change(set func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set()
	p.parking.wakeLocked()
}

// isLimit reports whether an operator should know about an error, since something may be wrong with the
// clients.
func isLimit(err error) bool {
	return slices.ContainsFunc([]error{
		clients.ErrServiceFull, clients.ErrNodeFull, clients.ErrAddressFull, clients.ErrNetworkFull, clients.ErrAddressFast, clients.ErrAllFull, errNoMoreRoom,
		ErrTooManyRelays, errTooManyWait, lease.ErrExhausted, balancer.ErrTooMany,
	}, func(limit error) bool { return errors.Is(err, limit) })
}
