package nodeapi

import (
	"context"
	"net/http"
	"time"

	"apquic/internal/control"
	"apquic/internal/events"
	"apquic/internal/reload"
	"apquic/internal/visits"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

// StatusPath is where the node says how it is; StatusPath without services asks neither them nor the server.
const (
	StatusPath = "/api/v1/status"
	LeavePath  = "/api/v1/leave"
)

const (
	eventsPath = "/api/v1/events"
	// upstreamTimeout is how long a service may take to show that it answers.
	upstreamTimeout = 2 * time.Second
	// maxRelays is how many relays the status has.
	maxRelays = 100
)

// Node is who is asked.
type Node interface {
	Status(ctx context.Context) node.Status
	Relays(which live.Selection) ([]live.Relay, int)
}

// Config is what a Handler answers with. Nil is allowed nowhere.
type Config struct {
	Node    Node
	Version string                                 // apquic-node VERSION
	Refused func(service string) map[string]uint64 // visitors whom the node refused itself, by reason
	Events  *events.Hub
	Left    *visits.Last
	Reload  http.Handler // the settings are read again
	Leave   http.Handler // the node leaves its server
}

// Handler answers the owner of the node.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+reload.Path, c.Reload)
	mux.Handle("POST "+LeavePath, c.Leave)
	mux.Handle("GET "+eventsPath, events.Stream(c.Events))
	mux.HandleFunc("GET "+StatusPath, func(w http.ResponseWriter, r *http.Request) {
		control.Answer(w, c.status(r.Context(), r.URL.Query().Get("services") != "false"))
	})
	return mux
}

// status asks the services whether they answer, and the server, only with services: a page that is looked at asks often
// for the rest.
func (c Config) status(ctx context.Context, services bool) Status {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	if !services {
		cancel()
	}
	told := StatusOf(c.Node.Status(ctx), c.Version)
	told.Relays, told.RelaysTotal = c.Node.Relays(live.Selection{Limit: maxRelays})
	told.Left = c.Left.Newest(visits.Most)
	if !services {
		told.Services = []Service{}
	}
	for i := range told.Services {
		told.Services[i].Refused = c.Refused(told.Services[i].Service)
	}
	return told
}
