package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"

	"apquic/certs"
)

// ErrNotRunning says that no server runs on a data directory.
var ErrNotRunning = errors.New("no server runs on this data directory")

// maxAnswer bounds what a client reads: a server has 65535 ports at most.
const maxAnswer = 64 << 20

// Client is the Operations of a running server.
type Client struct{ http http.Client }

var _ Operations = (*Client)(nil)

// Connect returns a client of the server that runs on a data directory, or ErrNotRunning.
func Connect(ctx context.Context, directory string) (*Client, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		path, done, err := socketPath(directory)
		if err != nil {
			return nil, err
		}
		defer done()
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
	}
	conn, err := dial(ctx, "", "")
	switch {
	case err == nil:
		conn.Close()
	case errors.Is(err, fs.ErrPermission):
		return nil, hinted{fmt.Errorf("the running server cannot be asked: %w", err), "use the account of the server, or root"}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, ErrNotRunning
	default:
		return nil, fmt.Errorf("the running server cannot be asked: %w", err)
	}
	return &Client{http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 2 * requestTimeout}}, nil
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

// call sends a request, nil for none, and reads the answer.
func call[A any](ctx context.Context, c *Client, name string, request any) (answer A, err error) {
	method, body := http.MethodGet, []byte(nil)
	if request != nil {
		method = http.MethodPost
		if body, err = json.Marshal(request); err != nil {
			return answer, err
		}
	}
	q, err := http.NewRequestWithContext(ctx, method, "http://server/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	response, err := c.http.Do(q)
	if err != nil {
		return answer, fmt.Errorf("asking the running server: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer, fmt.Errorf("reading the answer of the running server: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		if err := json.Unmarshal(content, &answer); err != nil {
			return answer, fmt.Errorf("reading the answer of the running server: %w", err)
		}
		return answer, nil
	}
	var f failure
	if err := json.Unmarshal(content, &f); err != nil || f.Error == "" {
		return answer, fmt.Errorf("the running server answers %s: is it of another version?", response.Status)
	}
	return answer, hinted{errors.New(f.Error), f.Hint}
}
