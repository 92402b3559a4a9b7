package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"apquic/docs"
	"apquic/internal/cli"
	"apquic/internal/events"
	"apquic/internal/reload"
)

// Prefix begins the paths of the API; docs/openapi.json describes them.
const Prefix = "/api/v1/"

const (
	maxBody        = 64 << 10 // bytes of a request
	requestTimeout = 30 * time.Second
)

// route is what can be asked for at one path.
type route struct {
	method, name, summary string
	request, answer       any // zero values of what is sent as JSON; nil: not JSON
	serve                 http.Handler
}

// routes are those of the API.
func routes(operations Operations, stream, reloader http.Handler) []route {
	return []route{
		get("status", "the server, service by service", operations.Status),
		get("nodes", "the nodes that are allowed, revoked, or here", operations.ListNodes),
		get("invitation", "the invitations that can still be used", operations.ListInvitations),
		{method: http.MethodGet, name: "events", summary: "what happens, as server-sent events", serve: stream},
		{method: http.MethodGet, name: "openapi.json", summary: "this document", serve: http.HandlerFunc(document)},
		post("invite", "make an invitation", operations.Invite),
		post("withdraw", "end an invitation", func(ctx context.Context, r WithdrawRequest) (struct{}, error) {
			return struct{}{}, operations.Withdraw(ctx, r)
		}),
		post("allow", "admit a node, even one that was revoked", operations.Allow),
		post("revoke", "shut a node out; its session ends at once", operations.Revoke),
		post("release", "give up the port or domain of a service whose node is away", operations.Release),
		post("copy-leases", "write a copy of the leases to a new file in the data directory", func(ctx context.Context, _ struct{}) (LeaseCopy, error) {
			return operations.CopyLeases(ctx)
		}),
		{method: http.MethodPost, name: "reload", summary: "read the settings again", request: struct{}{}, answer: reload.Report{}, serve: reloader},
		post("drain", "end the server as SIGTERM does: running connections may go on for a while", func(ctx context.Context, _ struct{}) (Draining, error) {
			return operations.Drain(ctx)
		}),
	}
}

// Handler offers operations, the events of hub, and what reloader does as JSON over HTTP.
func Handler(operations Operations, hub *events.Hub, reloader *reload.Reloader) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes(operations, events.Stream(hub), reloader) {
		mux.Handle(r.method+" "+Prefix+r.name, r.serve)
	}
	return mux
}

func get[A any](name, summary string, do func(context.Context) (A, error)) route {
	return route{http.MethodGet, name, summary, nil, *new(A), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { respond(w, r, do) })}
}

func post[Q, A any](name, summary string, do func(context.Context, Q) (A, error)) route {
	return route{http.MethodPost, name, summary, *new(Q), *new(A), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request Q
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			answer(w, http.StatusBadRequest, failure{Error: fmt.Sprintf("the request is not JSON that %s understands: %v", name, err)})
			return
		}
		respond(w, r, func(ctx context.Context) (A, error) { return do(ctx, request) })
	})}
}

func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(docs.OpenAPI)
}

// failure is the answer when a request failed.
type failure struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

func respond[A any](w http.ResponseWriter, r *http.Request, do func(context.Context) (A, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	result, err := do(ctx)
	if err == nil {
		answer(w, http.StatusOK, result)
		return
	}
	answer(w, http.StatusUnprocessableEntity, failure{Error: err.Error(), Hint: strings.Join(cli.Hints(err), "\n")})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // if that fails, the client is gone
}
