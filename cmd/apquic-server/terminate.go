package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"apquic/certs/acme"
	"apquic/internal/domain"
	"apquic/internal/hint"
	"apquic/internal/login"
	"apquic/internal/settings"
	"apquic/internal/web"
)

// acmeFolder is the folder in the data directory that keeps certificates.
const acmeFolder = "acme"

// acmeLimits bound the orders that nodes cause, far below what Let's Encrypt allows an account.
var acmeLimits = acme.Limits{Burst: 16, Hourly: 4, BurstOfAll: 100, HourlyOfAll: 50}

// terminator ends TLS and HTTP for services that ask for it. It implements what server.Config wants.
type terminator struct {
	folder     *web.Folder        // nil: there are no files
	acme       *acme.Certificates // nil: there is no authority
	site       *web.Site
	http, tcp  *tls.Config // for handshakes of services that speak HTTP, or others
	forTheAuth *tls.Config // for those of an authority
	logins     logins
}

// newTerminator reads the certificates in files; nil: the server ends no TLS.
func newTerminator(config settings.Server, log *slog.Logger) (t *terminator, err error) {
	if config.Certificates == "" && !config.ACME {
		return nil, nil
	}
	t = new(terminator)
	t.site = web.New(web.Config{Log: log, VisitorsOf: func(name string) *login.Guard { return t.logins.guard(name) }})
	if config.Certificates != "" {
		if t.folder, err = web.OpenFolder(config.Certificates, log); err != nil {
			return nil, hint.Add(err, "--certificates takes a folder with NAME.crt beside NAME.key, which this user can read")
		}
	}
	if config.ACME {
		t.acme = acme.New(acme.Config{
			Directory: config.ACMEDirectory, Folder: filepath.Join(config.DataDir, acmeFolder), HTTP: config.HTTP != "", Limits: acmeLimits, Elsewhere: t.fromFile, Log: log,
		})
	}
	t.forTheAuth = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acme.Protocol}, GetCertificate: t.certificate}
	t.tcp = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: t.certificate, GetConfigForClient: t.authority}
	t.http = t.tcp.Clone()
	t.http.NextProtos = []string{"h2", "http/1.1"}
	t.logins, err = newLogins(config, t.http, log)
	t.http.GetConfigForClient = t.configFor
	return t, err
}

// authority has one that checks a domain get its own configuration: whoever offers its protocol, and no other, is not
// a browser.
func (t *terminator) authority(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if t.acme != nil && slices.Equal(hello.SupportedProtos, []string{acme.Protocol}) {
		return t.forTheAuth, nil
	}
	return nil, nil
}

// configFor is the configuration for a handshake before HTTP: visitors of some names must show a certificate.
func (t *terminator) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if config, err := t.authority(hello); config != nil || err != nil {
		return config, err
	}
	if d := t.logins.at(strings.ToLower(hello.ServerName)); d != nil && d.tls != nil {
		return d.tls.GetConfigForClient(hello)
	}
	return nil, nil
}

// Login says whether visitors have to log in here.
func (t *terminator) Login(name string) (demanded, password bool) { return t.logins.demanded(name) }

// certificate chooses the one of a client: from files, which an authority's check is not about, or by ACME.
func (t *terminator) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	forAuthority := slices.Equal(hello.SupportedProtos, []string{acme.Protocol})
	if t.folder != nil && !forAuthority {
		if c := t.folder.Certificate(strings.ToLower(hello.ServerName)); c != nil {
			return c, nil
		}
	}
	if t.acme == nil {
		return nil, fmt.Errorf("there is no certificate for %.255q", hello.ServerName)
	}
	return t.acme.GetCertificate(hello)
}

// Check returns why TLS cannot be ended for a domain.
func (t *terminator) Check(name string) error {
	switch {
	case t.fromFile(name):
		return nil
	case t.acme == nil:
		return hint.Add(fmt.Errorf("this server has no certificate for %s", name),
			`ask its operator to put one into the folder of --certificates, or use tls "node" or "pass"`)
	case domain.IsWildcard(name):
		return hint.Add(errors.New("no authority gives the server a certificate for "+name),
			"ask its operator to get one with DNS-01, for instance by certbot, and to put it into the folder of --certificates; or use single names")
	}
	return nil
}

func (t *terminator) fromFile(name string) bool {
	return t.folder != nil && t.folder.Certificate(name) != nil
}

// Want has a domain get a certificate while there is none in a file.
func (t *terminator) Want(name, node string) {
	if t.acme != nil && !domain.IsWildcard(name) {
		t.acme.Want(name, node)
	}
}

// Forget ends what Want began.
func (t *terminator) Forget(name, node string) {
	if t.acme != nil {
		t.acme.Forget(name, node)
	}
}

// TLS is the configuration for a handshake.
func (t *terminator) TLS(http bool) *tls.Config {
	if http {
		return t.http
	}
	return t.tcp
}

// Challenge answers an authority's request without TLS.
func (t *terminator) Challenge(name, path string) (answer []byte, ok bool) {
	if t.acme == nil {
		return nil, false
	}
	return t.acme.Challenge(name, path)
}

// Serve serves HTTP to a client.
func (t *terminator) Serve(client net.Conn) { t.site.ServeVisitor(client) }

// run gets certificates, and ends idle clients when ctx ends. wait returns when all that it began has ended.
func (t *terminator) run(ctx, now context.Context) (wait func()) {
	if t == nil {
		return func() {}
	}
	var running sync.WaitGroup
	patience, giveUp := context.WithCancel(now)
	ctx, stop := context.WithCancel(ctx)
	if t.acme != nil {
		running.Go(func() { t.acme.Run(ctx) })
	}
	t.logins.run(ctx, &running)
	running.Go(func() {
		<-ctx.Done()
		t.site.Shutdown(patience)
	})
	return func() {
		stop()
		giveUp()
		running.Wait()
	}
}
