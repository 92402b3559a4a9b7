package public

import (
	"io"
	"net"

	"apquic/internal/hint"
	"apquic/quicproxy/internal/relay"
)

// arrived admits a connection, of a load balancer once that has said for whom it connects.
func (p *Listener) arrived(conn net.Conn) {
	if !p.all.balancers.Has(conn.RemoteAddr()) {
		p.admit(&Client{Conn: conn})
		return
	}
	if err := p.all.balancers.Take(conn); err != nil {
		p.refuse(&Client{Conn: conn}, err)
		return
	}
	p.all.serving.Go(func() {
		client, public, err := p.all.balancers.Read(conn)
		if err != nil {
			p.refuseBalancer(conn, err)
			return
		}
		p.admit(&Client{Conn: conn, address: client, public: public})
	})
}

// refuseBalancer resets a connection and logs why: the load balancer is set up wrongly, or only looked whether
// the port is open.
func (p *Listener) refuseBalancer(conn net.Conn, err error) {
	if err == io.EOF {
		conn.Close()
		return
	}
	relay.ResetTCP(conn)
	p.all.refused.Add(1)
	p.all.log.Warn("connection of a load balancer refused", "port", p.Port, "from", conn.RemoteAddr(), "err", err, "hint", hint.Of(err))
}
