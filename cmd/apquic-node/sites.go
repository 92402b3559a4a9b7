package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"sync"

	"apquic/certs/acme"
	"apquic/internal/domain"
	"apquic/internal/guards"
	"apquic/internal/login"
	"apquic/internal/settings"
	"apquic/internal/web"
	"apquic/quicproxy/node"
)

// acmeFolder is the folder in the data directory that keeps certificates.
const acmeFolder = "acme"

// sites end the HTTP of clients, and mostly their TLS.
type sites struct {
	byService map[string]*web.Site
	guards    map[string]*login.Guard // by service: those whose visitors must show something
	domains   map[string]string       // by service; empty: it has a port
	byACME    map[string]bool         // by service: those that need a certificate from an authority
	acme      *acme.Certificates
	node      *node.Node // set by serve
	log       *slog.Logger
}

// newSites makes the sites of the services for which the node ends HTTP, and reads the certificates in files.
func newSites(config settings.Node, log *slog.Logger) (*sites, error) {
	s := &sites{
		byService: make(map[string]*web.Site), guards: make(map[string]*login.Guard), domains: make(map[string]string), byACME: make(map[string]bool), log: log,
		acme: acme.New(acme.Config{
			Directory: config.ACMEDirectory, Folder: filepath.Join(config.DataDir, acmeFolder), Log: log,
		}),
	}
	asking := guards.Maker{Place: login.AtNode, DataDir: config.DataDir, Work: login.NewWork(), Log: log}
	for _, service := range config.Services {
		if !service.EndsHTTP() {
			continue
		}
		site := web.Config{
			Domain: service.Domain, Except: namesWithin(service.Domain, config.Services), Plain: service.Domain == "" && service.Host != "" && !service.AsksVisitors(), Host: service.Host, Log: log,
			Dial: func(ctx context.Context) (net.Conn, error) { return s.node.Dial(ctx, service.Name) },
		}
		s.domains[service.Name] = service.Domain
		var err error
		if service.EndsTLS() {
			site.GetCertificate, err = s.certificates(service)
		}
		if err != nil {
			return nil, err
		}
		if s.byACME[service.Name] {
			site.Protocols = []string{acme.Protocol}
		}
		if service.AsksVisitors() {
			if site.Visitors, err = asking.Make(cmp.Or(service.Domain, service.Name), service.Login); err != nil {
				return nil, err
			}
			s.guards[service.Name] = site.Visitors
		}
		s.byService[service.Name] = web.New(site)
	}
	return s, nil
}

// namesWithin returns the names that a wildcard stands for, but that are domains of other services.
func namesWithin(wildcard string, services []settings.Service) (names []string) {
	for _, other := range services {
		if other.Domain != wildcard && domain.Covers(wildcard, other.Domain) {
			names = append(names, other.Domain)
		}
	}
	return names
}

// refused says how many visitors of a service were refused, by reason.
func (s *sites) refused(service string) map[string]uint64 {
	if guard := s.guards[service]; guard != nil {
		return guard.Refused()
	}
	return nil
}

// certificates returns where a service has its certificate from.
func (s *sites) certificates(service settings.Service) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	if service.Certificate == "" {
		s.byACME[service.Name] = true
		return s.acme.GetCertificate, nil
	}
	pair, err := web.LoadKeyPair(service.Certificate, service.Key, s.log)
	if err != nil {
		return nil, err
	}
	return pair.GetCertificate, nil
}

// leased has the certificate of a service ordered: from now on the authority can connect to its name.
func (s *sites) leased(l node.Lease) {
	site := s.byService[l.Service]
	if site == nil {
		return
	}
	domain := s.domains[l.Service]
	if domain == "" { // it has one below the server's, if any
		name, err := url.Parse(l.Name)
		if err != nil || name.Hostname() == "" {
			return
		}
		domain = name.Hostname()
		site.SetDomain(domain)
	}
	if s.byACME[l.Service] {
		s.acme.Want(domain, "")
	}
}

// serve serves the sites of a node until ctx ends, and requests that run then until now does. wait returns when
// all have ended; it ends what is left.
func (s *sites) serve(ctx, now context.Context, n *node.Node) (wait func()) {
	s.node = n
	ctx, cancel := context.WithCancel(ctx)
	patience, giveUp := context.WithCancel(now)
	var serving sync.WaitGroup
	for name, site := range s.byService {
		serving.Go(func() {
			if err := site.Serve(ctx, patience, n.Listener(name)); err != nil {
				s.log.Error("a site stopped", "service", name, "err", err)
			}
		})
	}
	for _, guard := range s.guards {
		serving.Go(func() { guard.Run(ctx) })
	}
	if len(s.byACME) > 0 {
		serving.Go(func() { s.acme.Run(ctx) })
	}
	return func() {
		cancel()
		giveUp()
		serving.Wait()
	}
}
