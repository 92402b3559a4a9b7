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
	"os"
	"path/filepath"
	"sync"

	"apquic/certs"
	"apquic/internal/hint"
)

// TokenName is the name of the file with the token in the data directory, unless another file is named.
const TokenName = "admin_token"

// Address is where a program answers its owner: on the socket in the data directory, and at a TCP address.
type Address struct {
	DataDir   string
	Optional  bool           // the program also works without the socket
	Listen    string         // the TCP address, such as 127.0.0.1:8090; empty: none
	TokenFile string         // made if it does not exist; empty: one in DataDir, or with Admins none
	Hosts     []string       // names under which the program is asked, beside localhost and its addresses
	Admins    []certs.NodeID // whose keys are accepted; with any, TLS is spoken
	Key       certs.PrivateKey
	Log       *slog.Logger
	page      http.Handler // nil: there is none
	command   string       // that prints how to open the page
}

// WithPage returns a with a page that browsers load at / and below [PagePath] of the TCP address, without a token. The log
// names the command that prints the [Link] to it.
func (a Address) WithPage(page http.Handler, command string) Address {
	a.page, a.command = page, command
	return a
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

// Answer answers the owner of the data directory with handler, on its socket and at the address, if there is one, until
// stop is called. It closes neither before all pending answers were given.
func (a Address) Answer(handler http.Handler) (stop func(), err error) {
	there, stopAddress, err := a.answerThere(handler)
	if err != nil {
		return nil, err
	}
	err = os.MkdirAll(a.DataDir, 0o700) // a program whose key is elsewhere may not have made it yet
	var socket net.Listener
	if err == nil {
		socket, err = Listen(a.DataDir)
	}
	switch {
	case err != nil && a.Optional:
		a.Log.Warn("commands such as status will not work", "err", err)
		return stopAddress, nil
	case err != nil:
		stopAddress()
		return nil, err
	}
	stopSocket := a.serve(socket, SocketName, there.beside(handler))
	return func() { stopSocket(); stopAddress() }, nil
}

// answerThere answers at the address alone.
func (a Address) answerThere(handler http.Handler) (there door, stop func(), err error) {
	if a.Listen == "" {
		return door{}, func() {}, nil
	}
	listener, guard, err := a.open()
	if err != nil {
		return door{}, nil, err
	}
	return guard.door, a.serve(listener, a.Listen, guard.Protect(handler)), nil
}

// serve serves in the background.
func (a Address) serve(listener net.Listener, where string, handler http.Handler) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := Serve(ctx, listener, handler); err != nil {
			a.Log.Error("the owner is no longer answered", "at", where, "err", err)
		}
	})
	return func() { cancel(); serving.Wait() }
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
	guard := NewGuard(token, a.Admins, a.Hosts, a.Log)
	scheme := "http"
	if encrypt != nil {
		bounded := newHandshakes(listener, a.Log)
		guard.came = bounded.cameOwner
		listener, scheme = tls.NewListener(bounded, encrypt), "https"
	}
	if token != "" {
		attributes = append(attributes, "token_file", a.tokenFile())
	}
	if a.page != nil {
		guard.page, guard.door = a.page, doorOf(scheme, listener.Addr(), a.Hosts, token)
		attributes = append(attributes, "command", a.command)
	}
	a.Log.Info("answering the owner", append([]any{"url", scheme + "://" + listener.Addr().String() + "/"}, attributes...)...)
	return listener, guard, nil
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
