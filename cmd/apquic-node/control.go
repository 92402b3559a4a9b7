package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"apquic/certs"
	"apquic/internal/cli"
	"apquic/internal/control"
	"apquic/internal/events"
	"apquic/internal/reload"
	"apquic/internal/settings"
	"apquic/quicproxy"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

const (
	statusPath = "/api/v1/status"
	eventsPath = "/api/v1/events"
	// upstreamTimeout is how long a service may take to show that it answers.
	upstreamTimeout = 2 * time.Second
	// maxRelays is how many relays the status has.
	maxRelays = 100
)

// status is what the node reports about itself.
type status struct {
	ID        certs.NodeID    `json:"id"`
	Name      string          `json:"name,omitempty"` // given by the server's operator
	Version   string          `json:"version"`
	Server    certs.NodeID    `json:"server"`
	Address   string          `json:"address"` // of the server
	State     string          `json:"state"`   // online or away
	Since     *time.Time      `json:"since,omitempty"`
	Trouble   string          `json:"trouble,omitempty"` // why it is away
	NextTry   *time.Time      `json:"nextTry,omitempty"` // of a connection
	Remote    string          `json:"remote,omitempty"`  // the address that the connection goes to
	RoundTrip float64         `json:"roundTripMilliseconds,omitempty"`
	MinRTT    float64         `json:"minRTTMilliseconds,omitempty"`
	Lost      float64         `json:"lostPercent"`
	Keepalive float64         `json:"keepaliveSeconds,omitempty"`
	Services  []serviceStatus `json:"services"`

	DatagramsDropped map[string]uint64 `json:"datagramsDropped,omitempty"` // of UDP, by reason

	RelaysTotal int          `json:"relaysTotal"`
	Relays      []live.Relay `json:"relays"` // the first ones
}

// serviceStatus is what it reports about a service.
type serviceStatus struct {
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

	// Outcome of dialling the public address, one of the constants in dial.go; empty: the command did not
	// dial.
	Dialled     string `json:"dialled,omitempty"`
	DialTrouble string `json:"dialTrouble,omitempty"`
}

// States of a node, as the server calls them.
const (
	online = "online"
	away   = "away"
)

// statusOf is a snapshot for the owner of the node.
func statusOf(s node.Status, version string) status {
	told := status{
		ID: s.Node, Name: s.Name, Version: version, Server: s.Server, Address: s.Address, State: away, Trouble: errorText(s.Trouble),
		DatagramsDropped: s.DatagramsDropped,
	}
	if s.Since.IsZero() && s.Trouble != nil {
		next := s.NextTry.UTC().Truncate(time.Second)
		told.NextTry = &next
	}
	if !s.Since.IsZero() {
		since := s.Since.UTC().Truncate(time.Second)
		told.State, told.Since = online, &since
		told.RoundTrip, told.MinRTT = float64(s.Path.RTT.Microseconds())/1000, float64(s.Path.MinRTT.Microseconds())/1000
		told.Lost = 100 * float64(s.Path.Lost) / float64(max(s.Path.Sent, 1))
		told.Remote, told.Keepalive = s.Remote, s.Path.Keepalive.Seconds()
	}
	for _, service := range s.Services {
		told.Services = append(told.Services, serviceStatus{
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

// handler answers the owner of the node: its status, what happens, and what came of a reload.
func handler(node *node.Node, refused func(service string) map[string]uint64, hub *events.Hub, reloader, leaves http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+reload.Path, reloader)
	mux.Handle("POST "+leavePath, leaves)
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), upstreamTimeout)
		defer cancel()
		told := statusOf(node.Status(ctx), "apquic-node "+cli.Version())
		told.Relays, told.RelaysTotal = node.Relays(live.Selection{Limit: maxRelays})
		for i := range told.Services {
			told.Services[i].Refused = refused(told.Services[i].Service)
		}
		control.Answer(w, told)
	})
	mux.Handle("GET "+eventsPath, events.Stream(hub))
	return mux
}

// answer answers the owner of the data directory until stop is called. The node also works without the socket.
func answer(handler http.Handler, config settings.Node, key certs.PrivateKey, log *slog.Logger) (stop func(), err error) {
	at := config.Control(config.DataDir, key, log)
	at.Optional = true
	return at.Answer(handler)
}
