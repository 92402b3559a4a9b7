package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"apquic/certs"
	"apquic/internal/control"
	"apquic/internal/hint"
)

// Client is the Operations of a running server.
type Client struct{ control *control.Client }

var _ Operations = (*Client)(nil)

// Connect returns a client of the server running on a data directory. If there is none the error is a
// [*control.NotRunningError].
func Connect(ctx context.Context, directory string) (*Client, error) {
	c, err := control.Connect(ctx, directory)
	if err != nil {
		return nil, err
	}
	return &Client{c}, nil
}

// Invite implements Operations.
func (c *Client) Invite(ctx context.Context, r InviteRequest) (Invited, error) {
	return call[Invited](ctx, c, "invite", r)
}

// ListInvitations implements Operations.
func (c *Client) ListInvitations(ctx context.Context) ([]certs.OpenInvitation, error) {
	return call[[]certs.OpenInvitation](ctx, c, "invitation", nil)
}

// Withdraw implements Operations.
func (c *Client) Withdraw(ctx context.Context, r WithdrawRequest) error {
	_, err := call[struct{}](ctx, c, "withdraw", r)
	return err
}

// Allow implements Operations.
func (c *Client) Allow(ctx context.Context, r AllowRequest) (Node, error) {
	return call[Node](ctx, c, "allow", r)
}

// Revoke implements Operations.
func (c *Client) Revoke(ctx context.Context, r RevokeRequest) (Revoked, error) {
	return call[Revoked](ctx, c, "revoke", r)
}

// ListNodes implements Operations.
func (c *Client) ListNodes(ctx context.Context) ([]Node, error) {
	return call[[]Node](ctx, c, "nodes", nil)
}

// Status implements Operations.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, "status", nil)
}

// Release implements Operations.
func (c *Client) Release(ctx context.Context, r ReleaseRequest) (Service, error) {
	return call[Service](ctx, c, "release", r)
}

// CopyLeases implements Operations.
func (c *Client) CopyLeases(ctx context.Context) (LeaseCopy, error) {
	return call[LeaseCopy](ctx, c, "copy-leases", struct{}{})
}

// ListRelays implements Operations.
func (c *Client) ListRelays(ctx context.Context, which Selection) (Page[Relay], error) {
	return call[Page[Relay]](ctx, c, "relays?"+which.query(), nil)
}

// ListFlows implements Operations.
func (c *Client) ListFlows(ctx context.Context, which Selection) (Page[Flow], error) {
	return call[Page[Flow]](ctx, c, "flows?"+which.query(), nil)
}

// ListTotals implements Operations.
func (c *Client) ListTotals(ctx context.Context, which Selection) (Totals, error) {
	return call[Totals](ctx, c, "totals?"+which.query(), nil)
}

// Kick implements Operations.
func (c *Client) Kick(ctx context.Context, r KickRequest) (Kicked, error) {
	return call[Kicked](ctx, c, "kick", r)
}

// Explain implements Operations.
func (c *Client) Explain(ctx context.Context, node string) (Explained, error) {
	return call[Explained](ctx, c, "explain?"+Selection{Node: node}.query(), nil)
}

// call sends a request (nil: none) and reads the answer. Changes may have to wait for the disk.
func call[A any](ctx context.Context, c *Client, name string, request any) (answer A, err error) {
	method, body, within := http.MethodGet, []byte(nil), control.Timeout
	if request != nil {
		method, within = http.MethodPost, 2*requestTimeout
		if body, err = json.Marshal(request); err != nil {
			return answer, err
		}
	}
	status, content, err := c.control.Ask(ctx, method, Prefix+name, bytes.NewReader(body), within)
	if err != nil {
		return answer, err
	}
	if status == http.StatusOK {
		if err := json.Unmarshal(content, &answer); err != nil {
			return answer, fmt.Errorf("reading the answer of the running server: %w", err)
		}
		return answer, nil
	}
	var f failure
	if err := json.Unmarshal(content, &f); err != nil || f.Error == "" {
		return answer, fmt.Errorf("the running server answers %d %s: is it another version?", status, http.StatusText(status))
	}
	return answer, hint.Add(errors.New(f.Error), "%s", f.Hint)
}
