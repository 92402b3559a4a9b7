package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"apquic/internal/cli"
)

const (
	maxBody        = 64 << 10 // bytes of a request
	requestTimeout = 30 * time.Second
)

// Handler offers operations as JSON over HTTP: POST /v1/invite, allow, revoke, kick, release, withdraw and copy-leases, GET
// /v1/invitation, nodes, status, relays and flows; the last two take the query node, service, skip and limit, and nodes
// the last two of that.
func Handler(operations Operations) http.Handler {
	mux := http.NewServeMux()
	post(mux, "invite", operations.Invite)
	post(mux, "allow", operations.Allow)
	post(mux, "revoke", operations.Revoke)
	post(mux, "release", operations.Release)
	post(mux, "withdraw", func(ctx context.Context, r WithdrawRequest) (struct{}, error) {
		return struct{}{}, operations.Withdraw(ctx, r)
	})
	post(mux, "copy-leases", func(ctx context.Context, _ struct{}) (LeaseCopy, error) { return operations.CopyLeases(ctx) })
	get(mux, "invitation", operations.ListInvitations)
	some(mux, "nodes", operations.ListNodes)
	get(mux, "status", operations.Status)
	list(mux, "relays", operations.ListRelays)
	list(mux, "flows", operations.ListFlows)
	post(mux, "kick", operations.Kick)
	return mux
}

func post[Q, A any](mux *http.ServeMux, name string, do func(context.Context, Q) (A, error)) {
	mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		var request Q
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			answer(w, http.StatusBadRequest, failure{Error: fmt.Sprintf("the request is not JSON that %s understands: %v", name, err)})
			return
		}
		respond(w, r, func(ctx context.Context) (A, error) { return do(ctx, request) })
	})
}

func get[A any](mux *http.ServeMux, name string, do func(context.Context) (A, error)) {
	mux.HandleFunc("GET /v1/"+name, func(w http.ResponseWriter, r *http.Request) { respond(w, r, do) })
}

// some is get for a long list, of which the query may want a part: skip and limit.
func some[R any](mux *http.ServeMux, name string, do func(context.Context) ([]R, error)) {
	mux.HandleFunc("GET /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		which, err := readSelection(r.URL.Query())
		if err != nil {
			answer(w, http.StatusBadRequest, failure{Error: err.Error()})
			return
		}
		respond(w, r, func(ctx context.Context) ([]R, error) {
			rows, err := do(ctx)
			rows = rows[min(max(which.Skip, 0), len(rows)):]
			if which.Limit > 0 {
				rows = rows[:min(which.Limit, len(rows))]
			}
			return rows, err
		})
	})
}

func list[R any](mux *http.ServeMux, name string, do func(context.Context, Selection) (Page[R], error)) {
	mux.HandleFunc("GET /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		which, err := readSelection(r.URL.Query())
		if err != nil {
			answer(w, http.StatusBadRequest, failure{Error: err.Error()})
			return
		}
		respond(w, r, func(ctx context.Context) (Page[R], error) { return do(ctx, which) })
	})
}

// readSelection reads a query strictly: a misspelled key would select everything.
func readSelection(query url.Values) (s Selection, err error) {
	for key, values := range query {
		value := values[len(values)-1]
		switch key {
		case "node":
			s.Node = value
		case "service":
			s.Service = value
		case "skip":
			s.Skip, err = strconv.Atoi(value)
		case "limit":
			s.Limit, err = strconv.Atoi(value)
		default:
			err = errors.New("the keys are node, service, skip and limit")
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
	for key, value := range map[string]string{"node": s.Node, "service": s.Service, "skip": strconv.Itoa(s.Skip), "limit": strconv.Itoa(s.Limit)} {
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
