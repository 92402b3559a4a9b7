package quicproxy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const twoNodes = "two nodes"

// cause is why connections that run in a period may be reset.
type cause struct {
	what        string
	from, until time.Time
	unasked     bool // only those of which no service has heard
}

func (h *history) cause(c cause) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.causes = append(h.causes, c)
}

// check compares what all sides have sent and received.
func (h *history) check() {
	unserved, unknown := 0, 0
	for _, c := range h.clients {
		if !h.checkClient(c) {
			unserved++
		}
	}
	h.mu.Lock()
	served := slices.Clone(h.served) // a node may still dial for a client that left
	h.mu.Unlock()
	for _, s := range served {
		if s.peer == 0 && s.by == h.node() && !slices.ContainsFunc(h.clients, func(c *client) bool { return c.peer == s.id }) {
			unknown++
		}
	}
	if unknown > unserved {
		h.t.Errorf("%d connections to services brought nothing, where only %d clients can have had some", unknown, unserved)
	}
}

// services returns those that a client had, as far as the two identify each other.
func (h *history) services(c *client) (all []*side, its *side) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.served {
		if s.peer == c.id || s.peer == 0 && s.id == c.peer {
			all = append(all, s)
			if its == nil || s.id == c.peer {
				its = s
			}
		}
	}
	return all, its
}

// checkClient compares both ends of a public connection, and reports whether it has a service.
func (h *history) checkClient(c *client) bool {
	services, s := h.services(c)
	if s == nil {
		if err := h.checkUnserved(c); err != nil {
			h.t.Errorf("client %d: %v", c.id, err)
		}
		return false
	}
	err := errors.Join(checkSide(c.side, s), h.checkOnce(c, services))
	for _, s := range services {
		err = errors.Join(err, checkSide(s, c.side))
	}
	switch why := h.excuse(c, s); {
	case complete(c.side, s):
		h.all.count("complete", 1)
		h.all.count("bytes of complete ones", c.read+s.read)
	case why == "":
		err = errors.Join(err, errors.New("incomplete, without a cause"))
	default:
		h.all.count("not complete: "+why, 1)
	}
	if err != nil {
		h.t.Errorf("client %d, service %d: %v", c.id, s.id, err)
	}
	return true
}

// checkOnce requires that each node asks a service once. If another node replaced it before it answered
// anything, the server cannot know what it did, and lets the next one ask; that is the same one again if two
// processes contend for the key.
func (h *history) checkOnce(c *client, services []*side) error {
	var nodes []*program
	for _, s := range services {
		if slices.Contains(nodes, s.by) && !h.contended(c) {
			return fmt.Errorf("node %d has asked the service more than once", s.by.number)
		}
		nodes = append(nodes, s.by)
	}
	return nil
}

// contended reports whether a client ran while two nodes did.
func (h *history) contended(c *client) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.causes, func(cause cause) bool {
		return cause.what == twoNodes && c.begun.Before(cause.until) && c.ended.After(cause.from)
	})
}

// checkUnserved checks a client that no service has seen.
func (h *history) checkUnserved(c *client) error {
	switch {
	case c.wrong != nil:
		return c.wrong
	case c.sawEnd() && c.read == 0 && c.end != resets:
		return errors.New("it sees an end that nobody sent")
	case c.end != ends && c.total == 0:
		return nil
	case h.excuse(c, nil) != "":
		h.all.count("not served: "+h.excuse(c, nil), 1)
		return nil
	}
	return errors.New("not served, without a cause")
}

// checkSide compares what one side has received with what the other has sent: never more, and all of it
// before an end, unless the other side reset.
func checkSide(to, from *side) error {
	switch {
	case to.wrong != nil:
		return fmt.Errorf("%d: %w", to.id, to.wrong)
	case to.peer != 0 && to.peer != from.id:
		return fmt.Errorf("%d received what %d sent, not %d", to.id, to.peer, from.id)
	case to.read > from.tried:
		return fmt.Errorf("%d read %d bytes of %d", to.id, to.read, from.tried)
	case to.sawEnd() && from.end == resets:
		return fmt.Errorf("%d sees an end where %d has reset", to.id, from.id)
	case to.sawEnd() && to.read != from.written:
		return fmt.Errorf("%d sees an end after %d bytes of %d", to.id, to.read, from.written)
	}
	return nil
}

// complete reports whether each side has all data of the other, and its end.
func complete(sides ...*side) bool {
	for i, s := range sides {
		if other := sides[1-i]; !s.sawEnd() || s.writeErr != nil || s.written != s.total || s.read != other.total {
			return false
		}
	}
	return true
}

// excuse says why a connection may have been reset; s is nil if no service has seen it.
func (h *history) excuse(c *client, s *side) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	begun, ended := c.begun, c.ended
	if c.end != ends || s != nil && s.end != ends {
		return "a side resets"
	}
	if s != nil && s.ended.After(ended) {
		ended = s.ended
	}
	for _, cause := range h.causes {
		if (s == nil || !cause.unasked) && begun.Before(cause.until.Add(time.Millisecond)) && ended.After(cause.from.Add(-time.Millisecond)) {
			return cause.what
		}
	}
	for _, other := range h.served {
		if s == nil && other.peer == 0 && other.end != ends && begun.Before(other.ended) && ended.After(other.begun) {
			return "a service resets"
		}
	}
	if (s == nil || c.read == 0) && c.ended.Sub(begun) >= defaultPark && h.setting.steps > 0 {
		return "the client has waited" // for a node of which nothing came, whatever it did
	}
	switch {
	case h.setting.resume < 0:
		return "relays do not resume"
	case ended.Sub(begun) >= h.setting.resume:
		return "it may have had no connection for longer than relays resume"
	case h.said(c, "memory budget is used up"):
		return "the memory budget"
	case h.said(c, "was reset to make room for another one"), s == nil && h.said(c, "clients as it may have"):
		return "too many clients"
	}
	return ""
}

// said reports whether a program logged that about a client.
func (h *history) said(c *client, what string) bool {
	for line := range strings.Lines(h.logged.String()) {
		if strings.Contains(line, what) && strings.Contains(line, c.address) {
			return true
		}
	}
	return false
}

// checkPorts requires that all nodes were told the same addresses, whatever restarted.
func (h *history) checkPorts() {
	for _, node := range h.nodes {
		node.leases.mu.Lock()
		for _, l := range node.leases.leases {
			if !strings.HasSuffix(l.PublicAddress, ":"+h.ports[l.Service]) {
				h.t.Errorf("node %d got %s for %s, which had port %s", node.number, l.PublicAddress, l.Service, h.ports[l.Service])
			}
		}
		node.leases.mu.Unlock()
	}
}

// describe describes a client and its service.
func (h *history) describe(c *client) string {
	if c.ended.IsZero() {
		return fmt.Sprintf("client %d of %s runs", c.id, c.service)
	}
	text := fmt.Sprintf("client of %s: %v, from %.3f s to %.3f s", c.service, c.side, c.begun.Sub(h.begin).Seconds(), c.ended.Sub(h.begin).Seconds())
	all, _ := h.services(c)
	for _, s := range all {
		text += fmt.Sprintf("\n\tservice by node %d: %v, from %.3f s to %.3f s", s.by.number, s, s.begun.Sub(h.begin).Seconds(), s.ended.Sub(h.begin).Seconds())
	}
	return text
}
