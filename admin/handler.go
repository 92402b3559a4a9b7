package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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
	parameters            []parameter
}

// parameter is one of a request without a body.
type parameter struct{ name, in, kind, about string }

// skip and limit are of each list that may be long.
var skip, limit = parameter{"skip", "query", "integer", "rows before the first one"}, parameter{"limit", "query", "integer", "at most so many rows"}

// routes are those of the API.
func routes(operations Operations, stream, reloader http.Handler) []route {
	return []route{
		selecting("status", "the server, service by service", []parameter{{"services", "query", "boolean", "false: without them"}}, func(ctx context.Context, which Selection) (Status, error) {
			status, err := operations.Status(ctx)
			if which.brief {
				status.Services = []Service{}
			}
			return status, err
		}),
		some("nodes", "the nodes that are allowed, revoked, or here", operations.ListNodes),
		get("invitation", "the invitations that can still be used", operations.ListInvitations),
		list("relays", "the public connections that run, or wait for their node", operations.ListRelays),
		list("flows", "the flows of UDP", operations.ListFlows),
		selecting("totals", "what has passed on each day through each service, also before the server was restarted", []parameter{
			{"node", "query", "string", "only those of this node, by name or id"}, {"service", "query", "string", "only those of services with this name"},
			{"from", "query", "string", "the first day in UTC, such as 2026-11-27; 29 days before the last one by default"}, {"to", "query", "string", "the last day; today by default"},
			{"by", "query", "string", "one row for each of these, such as day,node; day,node,service by default, and all for one row"}, skip, limit,
		}, operations.ListTotals),
		selecting("explain", "what a node may have, and which rule says so", []parameter{{"node", "query", "string", "its name or id"}}, func(ctx context.Context, which Selection) (Explained, error) {
			return operations.Explain(ctx, which.Node)
		}),
		{method: http.MethodGet, name: "events", summary: "what happens, as server-sent events", serve: stream, parameters: []parameter{
			{"last", "query", "integer", "leave out all but so many of those that are kept"},
			{"follow", "query", "boolean", "false: end after those that are kept"},
			{"Last-Event-ID", "header", "integer", "the id of the last event that the client has"},
		}},
		{method: http.MethodGet, name: "openapi.json", summary: "this document", serve: http.HandlerFunc(document)},
		post("invite", "make an invitation", operations.Invite),
		post("withdraw", "end an invitation", func(ctx context.Context, r WithdrawRequest) (struct{}, error) {
			return struct{}{}, operations.Withdraw(ctx, r)
		}),
		post("allow", "admit a node, even one that was revoked", operations.Allow),
		post("revoke", "shut a node out; its session ends at once", operations.Revoke),
		post("kick", "end the session of a node, which may come back", operations.Kick),
		post("release", "give up the port or domain of a service whose node is away", operations.Release),
		get("limits", "what the operator says that single nodes may have, before all rules", operations.ListLimits),
		post("limit", "say what a node may have, before all rules", operations.Limit),
		post("pin", "make a port that of a service for good, perhaps another one than it has", operations.Pin),
		post("unpin", "let the port of a service go again when its lease ends", operations.Unpin),
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
	return route{method: http.MethodGet, name: name, summary: summary, answer: *new(A), serve: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { respond(w, r, do) })}
}

func post[Q, A any](name, summary string, do func(context.Context, Q) (A, error)) route {
	serve := func(w http.ResponseWriter, r *http.Request) {
		var request Q
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			answer(w, http.StatusBadRequest, failure{Error: fmt.Sprintf("the request is not JSON that %s understands: %v", name, err)})
			return
		}
		respond(w, r, func(ctx context.Context) (A, error) { return do(ctx, request) })
	}
	return route{method: http.MethodPost, name: name, summary: summary, request: *new(Q), answer: *new(A), serve: http.HandlerFunc(serve)}
}

func document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(docs.OpenAPI)
}

// some is get for a long list, of which the query may want a part: skip and limit.
func some[R any](name, summary string, do func(context.Context) ([]R, error)) route {
	return selecting(name, summary, []parameter{skip, limit}, func(ctx context.Context, which Selection) ([]R, error) {
		rows, err := do(ctx)
		rows = rows[min(max(which.Skip, 0), len(rows)):]
		if which.Limit > 0 {
			rows = rows[:min(which.Limit, len(rows))]
		}
		return rows, err
	})
}

func list[R any](name, summary string, do func(context.Context, Selection) (Page[R], error)) route {
	return selecting(name, summary, []parameter{
		{"node", "query", "string", "only those of this node, by name or id"}, {"service", "query", "string", "only those of services with this name"}, skip, limit,
	}, do)
}

// selecting is get with a query that says which rows.
func selecting[A any](name, summary string, parameters []parameter, do func(context.Context, Selection) (A, error)) route {
	serve := func(w http.ResponseWriter, r *http.Request) {
		which, err := readSelection(r.URL.Query(), parameters)
		if err != nil {
			answer(w, http.StatusBadRequest, failure{Error: err.Error()})
			return
		}
		respond(w, r, func(ctx context.Context) (A, error) { return do(ctx, which) })
	}
	return route{method: http.MethodGet, name: name, summary: summary, answer: *new(A), serve: http.HandlerFunc(serve), parameters: parameters}
}

// readSelection reads a query strictly: a misspelled key would select everything.
func readSelection(query url.Values, parameters []parameter) (s Selection, err error) {
	var keys []string
	for _, p := range parameters {
		keys = append(keys, p.name)
	}
	for key, values := range query {
		value := values[len(values)-1]
		if !slices.Contains(keys, key) {
			return s, fmt.Errorf("the query %s=%s: the keys are %s", key, value, strings.Join(keys, ", "))
		}
		switch key {
		case "node":
			s.Node = value
		case "service":
			s.Service = value
		case "skip":
			s.Skip, err = strconv.Atoi(value)
		case "limit":
			s.Limit, err = strconv.Atoi(value)
		case "services":
			var services bool
			services, err = strconv.ParseBool(value)
			s.brief = !services
		case "from":
			s.From = value
		case "to":
			s.To = value
		case "by":
			s.By = value
		}
		if err != nil {
			return s, fmt.Errorf("the query %s=%s: %w", key, value, err)
		}
	}
	return s, nil
}

// query is the opposite.
func (s Selection) query() string {
	query := make(url.Values)
	for key, value := range map[string]string{"node": s.Node, "service": s.Service, "skip": strconv.Itoa(s.Skip), "limit": strconv.Itoa(s.Limit), "from": s.From, "to": s.To, "by": s.By} {
		if value != "" && value != "0" {
			query.Set(key, value)
		}
	}
	return query.Encode()
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
