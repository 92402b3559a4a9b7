package nodeapi

import (
	"time"

	"apquic/certs"
	"apquic/internal/visits"
	"apquic/quicproxy"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

// Status is what the node reports about itself.
type Status struct {
	ID        certs.NodeID `json:"id"`
	Name      string       `json:"name,omitempty"` // given by the server's operator
	Version   string       `json:"version"`
	Server    certs.NodeID `json:"server"`
	Address   string       `json:"address"` // of the server
	State     string       `json:"state"`   // Online or Away
	Since     *time.Time   `json:"since,omitempty"`
	Trouble   string       `json:"trouble,omitempty"` // why it is away
	NextTry   *time.Time   `json:"nextTry,omitempty"` // of a connection
	Remote    string       `json:"remote,omitempty"`  // the address that the connection goes to
	RoundTrip float64      `json:"roundTripMilliseconds,omitempty"`
	MinRTT    float64      `json:"minRTTMilliseconds,omitempty"`
	Lost      float64      `json:"lostPercent"`
	Keepalive float64      `json:"keepaliveSeconds,omitempty"`
	Sent      uint64       `json:"bytesSent"` // to the server over all connections that there are now, in QUIC packets
	Received  uint64       `json:"bytesReceived"`
	Services  []Service    `json:"services"`

	DatagramsDropped map[string]uint64 `json:"datagramsDropped,omitempty"` // of UDP, by reason

	RelaysTotal int            `json:"relaysTotal"`
	Relays      []live.Relay   `json:"relays"` // the first ones
	Left        []visits.Visit `json:"left"`   // who left last, the newest first
}

// Service is what it reports about a service.
type Service struct {
	Service     string `json:"service"`
	Public      string `json:"public,omitempty"`    // tcp://host:port; empty: it has none
	ByName      string `json:"name,omitempty"`      // https://name, beside a port
	Refusal     string `json:"refusal,omitempty"`   // why it has none
	Origin      string `json:"origin"`              // the upstream as a URI
	Answers     bool   `json:"answers"`             // the upstream does
	Unhealthy   bool   `json:"unhealthy,omitempty"` // it gets no new connections, since its health check fails
	Trouble     string `json:"trouble,omitempty"`   // why it does not answer, or is unhealthy
	Connections int    `json:"connections"`         // public ones, now
	// Refused says how many requests and handshakes of visitors were refused, by reason.
	Refused map[string]uint64 `json:"refused,omitempty"`
	// RefusedByServer are visitors who came no further than to the server.
	RefusedByServer quicproxy.Refused `json:"refusedByServer,omitzero"`

	// Outcome of dialling the public address by the command status; empty: it did not dial.
	Dialled     string `json:"dialled,omitempty"`
	DialTrouble string `json:"dialTrouble,omitempty"`
}

// States of a node, as the server calls them.
const (
	Online = "online"
	Away   = "away"
)

// StatusOf is a snapshot for the owner of the node.
func StatusOf(s node.Status, version string) Status {
	told := Status{
		ID: s.Node, Name: s.Name, Version: version, Server: s.Server, Address: s.Address, State: Away, Trouble: errorText(s.Trouble),
		DatagramsDropped: s.DatagramsDropped, Sent: s.Sent, Received: s.Received, Services: []Service{},
	}
	if s.Since.IsZero() && s.Trouble != nil {
		next := s.NextTry.UTC().Truncate(time.Second)
		told.NextTry = &next
	}
	if !s.Since.IsZero() {
		since := s.Since.UTC().Truncate(time.Second)
		told.State, told.Since = Online, &since
		told.RoundTrip, told.MinRTT = float64(s.Path.RTT.Microseconds())/1000, float64(s.Path.MinRTT.Microseconds())/1000
		told.Lost = 100 * float64(s.Path.Lost) / float64(max(s.Path.Sent, 1))
		told.Remote, told.Keepalive = s.Remote, s.Path.Keepalive.Seconds()
	}
	for _, service := range s.Services {
		told.Services = append(told.Services, Service{
			Service: service.Service, Public: service.PublicAddress, ByName: service.Name, Refusal: errorText(service.Refusal), Origin: service.Origin,
			Answers: service.Upstream == nil, Unhealthy: service.Unhealthy, Trouble: errorText(service.Upstream), Connections: service.Relays,
			RefusedByServer: service.Refused,
		})
	}
	return told
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
