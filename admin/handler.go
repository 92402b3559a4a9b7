package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"apquic/internal/cli"
)

const (
	maxBody        = 64 << 10 // bytes of a request
	requestTimeout = 30 * time.Second
)

// Handler offers operations as JSON over HTTP: POST /v1/invite, allow, revoke, release, withdraw and copy-leases, GET
// /v1/invitation, nodes and status.
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
	get(mux, "nodes", operations.ListNodes)
	get(mux, "status", operations.Status)
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
