package public

import (
	"io"
	"log/slog"
	"net"

	"apquic/internal/hint"
	"apquic/quicproxy/internal/relay"
)

// arrived admits a connection, of a load balancer once that has said for whom it connects.
func (s *Listeners) arrived(conn net.Conn, admit func(*Client), where slog.Attr) {
	if !s.balancers.Has(conn.RemoteAddr()) {
		admit(&Client{Conn: conn})
		return
	}
	if err := s.balancers.Take(conn); err != nil {
		s.refuse(&Client{Conn: conn}, where, err)
		return
	}
	s.serving.Go(func() {
		client, public, err := s.balancers.Read(conn)
		if err != nil {
			s.refuseBalancer(conn, where, err)
			return
		}
		admit(&Client{Conn: conn, address: client, public: public})
	})
}

// refuseBalancer resets a connection and logs why: the load balancer is set up wrongly, or only looked whether
// the port is open.
func (s *Listeners) refuseBalancer(conn net.Conn, where slog.Attr, err error) {
	if err == io.EOF {
		conn.Close()
		return
	}
	relay.ResetTCP(conn)
	s.refused.Add(errBalancer)
	s.log.Warn("connection of a load balancer refused", where, "from", conn.RemoteAddr(), "err", err, "hint", hint.Of(err))
}
