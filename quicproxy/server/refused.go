package server

import (
	"errors"

	"apquic/quicproxy/admission"
	"apquic/quicproxy/server/internal/failure"
)

// stranger tells the operator about a refused node, with the command that would let it in, and returns what
// the node is told.
func (s *Server) stranger(c *nodeConn, err error) error {
	unauthorized := errors.Is(err, admission.ErrNotAuthorized)
	switch {
	case errors.Is(err, admission.ErrTooManyJoins), !unauthorized && c.QUIC.Context().Err() != nil: // the check failed because of that
		c.log.Debug("node refused", "err", err)
	case unauthorized:
		c.log.Warn("node refused: "+err.Error()+"; to allow it, use the command", "command", "apquic-server allow "+c.node.String())
	default:
		c.log.Error("a node could not be checked", "err", err)
	}
	return failure.NotAuthorized(c.node, err)
}
