package server

import (
	"context"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/wait"
)

const (
	// orphanTime is how long a lane stays whose process has no primary connection: one that lost it is back before.
	orphanTime = 30 * time.Second
	// orphansEvery is how often the server looks for such lanes.
	orphansEvery = 10 * time.Second
)

// closeOrphans closes lanes that nothing belongs to any more, until ctx ends.
func (s *Server) closeOrphans(ctx context.Context) {
	for wait.Sleep(ctx, orphansEvery); ctx.Err() == nil; wait.Sleep(ctx, orphansEvery) {
		now := time.Now()
		s.registry.mu.Lock()
		for _, session := range s.registry.sessions {
			for _, lane := range slices.Clone(session.lanes) {
				if session.orphanedLocked(lane, now) && lane.outstays(now) {
					session.dropLaneLocked(lane, s.dropLater)
				}
			}
		}
		s.registry.mu.Unlock()
		wait.Signal(s.memory.Busy) // what nodes without relays send is looked at now and then
	}
}

// orphanedLocked notes since when a lane belongs to a process that has no connection any more, or that another one has
// followed, and reports whether it does. registry.mu is held.
func (s *session) orphanedLocked(lane *nodeConn, now time.Time) bool {
	if n := len(s.conns); n > 0 && s.conns[n-1].instance == lane.instance {
		lane.orphaned = time.Time{}
		return false
	}
	if lane.orphaned.IsZero() {
		lane.orphaned = now
	}
	return true
}

// outstays reports whether an orphan has been here for too long. One that drains may finish what it carries.
func (c *nodeConn) outstays(now time.Time) bool {
	limit := orphanTime
	if c.last() == retiring && c.Relays.Len() > 0 {
		limit = carrier.LongRelay
	}
	return now.Sub(c.orphaned) >= limit
}

// dropOrphanLocked makes room for a lane, if there is one that belongs to no process. registry.mu is held.
func (s *session) dropOrphanLocked(drop func(lane *nodeConn, why string)) bool {
	for _, lane := range s.lanes {
		if s.orphanedLocked(lane, time.Now()) {
			s.dropLaneLocked(lane, drop)
			return true
		}
	}
	return false
}

func (s *session) dropLaneLocked(lane *nodeConn, drop func(lane *nodeConn, why string)) {
	s.lanes = slices.DeleteFunc(s.lanes, func(other *nodeConn) bool { return other == lane })
	drop(lane, "the process of this lane has no connection any more")
}

// dropLater closes a connection without waiting for that.
func (s *Server) dropLater(c *nodeConn, why string) {
	s.work.Go(func() { c.QUIC.CloseWithError(quic.ApplicationErrorCode(framing.ErrorSuperseded), why) })
}
