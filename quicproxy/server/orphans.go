package server

import (
	"context"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/internal/wait"
	"apquic/quicproxy/server/internal/stage"
)

const (
	// orphanTime is how long a lane stays whose process has no primary connection: a process that lost it is
	// back sooner.
	orphanTime = 30 * time.Second
	// orphansEvery is how often the server looks for such lanes.
	orphansEvery = 10 * time.Second
)

// closeOrphans closes lanes whose process is gone, until ctx ends.
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
		wait.Signal(s.memory.Busy) // so that it also checks what nodes without relays send
	}
}

// orphanedLocked notes since when a lane has belonged to a process that has no connection, or that another
// process replaced, and reports whether it does. registry.mu is held.
func (s *session) orphanedLocked(lane *nodeConn, now time.Time) bool {
	if primary := s.primaryLocked(); primary != nil && primary.instance == lane.instance {
		lane.orphaned = time.Time{}
		return false
	}
	if lane.orphaned.IsZero() {
		lane.orphaned = now
	}
	return true
}

// outstays reports whether an orphan has been here for too long. A draining one may finish what it carries.
func (c *nodeConn) outstays(now time.Time) bool {
	limit := orphanTime
	if c.stage.Last() == stage.Retiring && c.Relays.Len() > 0 {
		limit = carrier.LongRelay
	}
	return now.Sub(c.orphaned) >= limit
}

// dropOrphanLocked makes room for a lane if there is one whose process is gone. registry.mu is held.
func (s *session) dropOrphanLocked(drop func(lane *nodeConn, why string)) bool {
	for _, lane := range s.lanes {
		if s.orphanedLocked(lane, time.Now()) {
			s.dropLaneLocked(lane, drop)
			return true
		}
	}
	return false
}

// dropLaneLocked takes a lane out of its session and closes it. registry.mu is held.
func (s *session) dropLaneLocked(lane *nodeConn, drop func(lane *nodeConn, why string)) {
	s.lanes = slices.DeleteFunc(s.lanes, func(other *nodeConn) bool { return other == lane })
	drop(lane, "the process of this lane no longer has a connection")
}

// dropLater closes a connection without waiting for it.
func (s *Server) dropLater(c *nodeConn, why string) {
	s.work.Go(func() { c.QUIC.CloseWithError(quic.ApplicationErrorCode(framing.ErrorSuperseded), why) })
}
