package server

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"apquic/certs"
	"apquic/framing"
	"apquic/quicproxy/internal/carrier"
	"apquic/quicproxy/server/internal/changes"
	"apquic/quicproxy/server/internal/descriptors"
	"apquic/quicproxy/server/internal/identity"
	"apquic/quicproxy/server/internal/strangers"
)

// Run serves until ctx ends, lets running relays finish, and returns nil; or it returns why it cannot go on.
// Everything it started has ended by then. It may be called only once.
func (s *Server) Run(ctx context.Context) error {
	defer s.config.PacketConn.Close()
	defer s.closeShared()
	transport, listener, err := s.listen()
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	defer transport.Close()
	descriptors.Check(s.log, s.clients.MayReserve(), s.config.Ports.Size())
	if err := s.lessor.Load(ctx); err != nil {
		s.public.Stop()
		s.public.Close()
		s.public.Wait()
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("server: %w", err)
	}

	s.acceptShared()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var services sync.WaitGroup
	if s.config.Peers != nil {
		services.Go(func() {
			s.rememberPeers(ctx, func(peers []Peer) { s.wakeNodes(ctx, transport, peers) })
		})
	}
	services.Go(func() { s.strange.Watch(background) })
	services.Go(func() { s.memory.Run(background) })
	services.Go(func() { s.watchLoss(background) })
	services.Go(func() { s.watchSilence(background, transport) })
	services.Go(func() { s.watchAdmission(background) })
	services.Go(func() { changes.Watch(background, s.rules.Expired, s.heedRules) })
	services.Go(func() { s.closeOrphans(background) })
	services.Go(func() { s.canaries.Run(background) })
	services.Go(func() { s.limited.Run(background) })
	services.Go(func() { s.probes.Answer(background, transport) })
	services.Go(func() {
		if err := s.lessor.Run(background); err != nil {
			s.log.Error("lease expiry stopped", "err", err)
		}
	})
	s.config.Ready()
	err = s.accept(ctx, listener)
	listener.Close()
	s.drain()
	transport.Close() // ends connections that have not said Hello
	s.public.Wait()
	s.work.Wait()
	stop()
	services.Wait()
	s.strange.Wait()
	return err
}

// listen opens the QUIC listener for nodes. Its transport must be closed.
func (s *Server) listen() (*quic.Transport, *quic.EarlyListener, error) {
	tlsConfig, err := certs.ServerTLS(s.config.Key)
	if err != nil {
		return nil, nil, err
	}
	return s.strange.Listen(strangers.ListenConfig{
		Socket: s.config.PacketConn, TLS: tlsConfig, IdleTimeout: s.config.IdleTimeout, ResetKey: s.config.ResetKey, TokenKey: s.config.TokenKey,
		Received: s.memory.Receive, KnownBy: identity.KnownBy(s.config.AnswerStrangers, s.config.Key.ID(), s.config.Former),
	})
}

// acceptShared takes the clients of domains.
func (s *Server) acceptShared() {
	for _, socket := range []net.Listener{s.config.HTTP, s.config.HTTPS} {
		if socket != nil && s.public.Share(socket, socket == s.config.HTTPS) != nil {
			s.log.Error("a port for domains stays closed", "address", socket.Addr().String())
			socket.Close() // otherwise its clients would wait
		}
	}
}

func (s *Server) closeShared() {
	for _, socket := range []net.Listener{s.config.HTTP, s.config.HTTPS} {
		if socket != nil {
			socket.Close()
		}
	}
}

// accept hands over each connection at once: quic-go refuses connections while its queue of 32 is full.
func (s *Server) accept(ctx context.Context, listener *quic.EarlyListener) error {
	for {
		conn, err := listener.Accept(ctx)
		switch {
		case err == nil:
			s.work.Go(func() { s.serveNode(conn) })
		case ctx.Err() != nil:
			return nil
		default:
			return fmt.Errorf("server: the socket for nodes failed: %w", err)
		}
	}
}

// drain ends the sessions: no new clients, running relays up to the limit, then codes. Clients that come
// meanwhile wait in the queues of the public listeners.
func (s *Server) drain() {
	conns := s.registry.close()
	s.public.Stop()
	defer s.public.Close()
	s.log.Info("stopping", "nodes", len(conns), "limit", s.config.Drain)

	code, reason := framing.DrainStopped, "the server was stopped"
	if s.config.Restarting() {
		code, reason = framing.DrainRestarting, "the server restarts"
	}
	all := make([]*carrier.Conn, len(conns))
	for i, c := range conns {
		all[i] = &c.Conn
	}
	carrier.FinishAll(all, s.config.StopNow, s.config.Drain, code, reason, s.log)
	for _, a := range s.registry.associations() {
		a.End(framing.ErrorRelayShutdown)
	}
}
