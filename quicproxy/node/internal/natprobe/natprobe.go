// Package natprobe learns whether a NAT keeps an idle mapping (docs/protocol.md section 5.9), with a socket
// that nothing depends on.
//
// It must not decide when to probe, or what follows.
package natprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/internal/netaddr"
	"apquic/quicproxy/internal/path"
	"apquic/quicproxy/internal/wait"
)

const (
	// probeWait is how long a datagram may be in transit, probeTries how often one is sent, since it may be
	// lost.
	probeWait  = 2 * time.Second
	probeTries = 3
	// probeAge is how long a mapping is used before it is left idle. Linux keeps a mapping on which packets
	// still go both ways after two seconds, like those of a connection, several times as long as a younger
	// one.
	probeAge = 3 * time.Second
	// probeRequestTimeout bounds the wait for an answer on the control stream.
	probeRequestTimeout = 10 * time.Second
)

// errProbe ends a probe that proves nothing: the path does not work, or not for probes.
var errProbe = errors.New("probe datagrams are not answered")

// Server is the server that helps, over a connection to it.
type Server struct {
	Control *conn.ControlStream
	Address func() net.Addr
	Listen  func() (net.PacketConn, error) // opens a socket
}

// socket is one that nothing depends on, so that its NAT mapping may be lost.
type socket struct {
	net.PacketConn
	server *Server
	token  path.ProbeToken
	number uint32 // of the last datagram
}

// Keeps learns whether the NAT keeps a mapping that has been idle for that long.
func (s *Server) Keeps(ctx context.Context, idle time.Duration) (bool, error) {
	p, err := s.open(ctx)
	if err != nil {
		return false, err
	}
	defer p.Close()
	interrupt := context.AfterFunc(ctx, func() { p.Close() })
	defer interrupt()
	if !p.echoed(ctx) {
		return false, errProbe
	}
	if wait.Sleep(ctx, probeAge); !p.echoed(ctx) {
		return false, errProbe
	}
	begin := time.Now().Round(0) // wall clock, which runs on while the machine sleeps
	if wait.Sleep(ctx, idle); time.Now().Round(0).Sub(begin) > idle+probeWait {
		return false, errProbe
	}
	for range probeTries {
		if reached, err := p.reached(ctx); reached || err != nil {
			return reached, err
		}
	}
	if !p.echoed(ctx) { // the path failed, not the mapping
		return false, errProbe
	}
	return false, ctx.Err()
}

func (s *Server) open(ctx context.Context) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, probeRequestTimeout)
	defer cancel()
	var response framing.ProbeResponse
	err := s.Control.Request(ctx, framing.OpProbeRequest, &framing.ProbeRequest{}, framing.OpProbeResponse, &response)
	if err != nil {
		return nil, err
	}
	if len(response.Token) != len(path.ProbeToken{}) {
		return nil, fmt.Errorf("a token of %d bytes", len(response.Token))
	}
	opened, err := s.Listen()
	if err != nil {
		return nil, fmt.Errorf("opening a UDP socket: %w", err)
	}
	return &socket{PacketConn: opened, server: s, token: path.ProbeToken(response.Token)}, nil
}

// echoed sends a datagram and reports whether the server returned it.
func (p *socket) echoed(ctx context.Context) bool {
	for range probeTries {
		if ctx.Err() != nil {
			return false
		}
		p.number++
		if _, err := p.WriteTo(path.Probe{Token: p.token, Number: p.number}.Datagram(), p.server.Address()); err != nil {
			wait.Sleep(ctx, probeWait)
			continue
		}
		if p.arrived() {
			return true
		}
	}
	return false
}

// reached asks the server to send a datagram, and reports whether it came. An error says nothing about the
// mapping.
func (p *socket) reached(ctx context.Context) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	p.number++
	wait, cancel := context.WithTimeout(ctx, probeRequestTimeout)
	defer cancel()
	err := p.server.Control.Request(wait, framing.OpProbeSend, &framing.ProbeSend{Number: p.number}, framing.OpProbeSent, new(framing.ProbeSent))
	if err != nil {
		return false, err
	}
	return p.arrived(), ctx.Err()
}

// arrived waits for the datagram with the last number. Others prove nothing: they may be late, or forged.
func (p *socket) arrived() bool {
	p.SetReadDeadline(time.Now().Add(probeWait))
	for {
		var datagram [2048]byte // Windows reports datagrams that do not fit as errors
		n, from, err := p.ReadFrom(datagram[:])
		if err != nil {
			return false
		}
		probe, ok := path.ParseProbe(datagram[:n])
		if ok && probe == (path.Probe{Token: p.token, Number: p.number}) && netaddr.Endpoint(from) == netaddr.Endpoint(p.server.Address()) {
			return true
		}
	}
}
