package control

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"

	"apquic/certs"
	"apquic/internal/hint"
)

// TokenName is the name of the file with the token in the data directory, unless another file is named.
const TokenName = "admin_token"

// Address is a TCP address at which a program answers its owner.
type Address struct {
	Listen    string // such as 127.0.0.1:8090; empty: none
	TokenFile string // made if it does not exist; empty: one in DataDir, or with Admins none
	DataDir   string
	Hosts     []string       // names under which the program is asked, beside localhost and its addresses
	Admins    []certs.NodeID // whose keys are accepted; with any, TLS is spoken
	Key       certs.PrivateKey
	Log       *slog.Logger
}

// Check returns why a program must not listen there: nobody may read a token on its way.
func (a Address) Check() error {
	host, _, err := net.SplitHostPort(a.Listen)
	if err != nil {
		return errors.New(`want an IP address and a port, such as "127.0.0.1:8090"`)
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "localhost" || err == nil && ip.IsLoopback() || len(a.Admins) > 0:
		return nil
	case host != "" && err != nil:
		return fmt.Errorf(`%s is not an IP address; want one and a port, such as "127.0.0.1:8090"`, hint.Readable(host))
	}
	return hint.Add(fmt.Errorf("%s can be reached from other machines, where the token would travel without encryption", a.Listen),
		"choose 127.0.0.1, which ssh -L also reaches from elsewhere; or name the nodes whose keys may with --admins, for TLS")
}

// ServeAddress answers at an address with handler whom a [Guard] admits, until stop is called; at none if there is
// nothing to listen at.
func ServeAddress(a Address, handler http.Handler) (stop func(), err error) {
	if a.Listen == "" {
		return func() {}, nil
	}
	listener, guard, err := a.open()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := Serve(ctx, listener, guard.Protect(handler)); err != nil {
			a.Log.Error("the owner is no longer answered at the address", "address", a.Listen, "err", err)
		}
	})
	return func() { cancel(); serving.Wait() }, nil
}

func (a Address) open() (net.Listener, *Guard, error) {
	if err := a.Check(); err != nil {
		return nil, nil, err
	}
	token, err := a.token()
	if err != nil {
		return nil, nil, err
	}
	encrypt, attributes, err := a.encryption()
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", a.Listen)
	if err != nil {
		return nil, nil, hint.Add(fmt.Errorf("cannot listen for the owner at %s: %w", a.Listen, err), "choose another address with --admin")
	}
	scheme := "http"
	if encrypt != nil {
		listener, scheme = tls.NewListener(listener, encrypt), "https"
	}
	if token != "" {
		attributes = append(attributes, "token_file", a.tokenFile())
	}
	a.Log.Info("answering the owner", append([]any{"url", scheme + "://" + listener.Addr().String() + "/"}, attributes...)...)
	return listener, NewGuard(token, a.Admins, a.Hosts, a.Log), nil
}

// tokenFile is where the token is; empty: none is accepted.
func (a Address) tokenFile() string {
	if a.TokenFile == "" && len(a.Admins) == 0 {
		return filepath.Join(a.DataDir, TokenName)
	}
	return a.TokenFile
}

func (a Address) token() (string, error) {
	if path := a.tokenFile(); path != "" {
		return certs.LoadOrCreateToken(path)
	}
	return "", nil
}

// encryption returns the TLS to speak, if any, and what a client must know of it.
func (a Address) encryption() (config *tls.Config, attributes []any, err error) {
	if len(a.Admins) == 0 {
		return nil, nil, nil
	}
	pin, err := certs.AdminPin(a.Key)
	if err != nil {
		return nil, nil, err
	}
	config, err = certs.AdminTLS(a.Key)
	return config, []any{"pin", pin}, err
}
