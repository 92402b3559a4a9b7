package main

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
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
	acme   *acme.Certificates
	asking guards.Maker
	log    *slog.Logger

	// Set by serve.
	node          *node.Node
	ctx, patience context.Context
	serving       sync.WaitGroup

	mu       sync.Mutex
	all      map[string]*site             // by service
	names    map[string]string            // by service, the name that clients come for
	accepted map[string]net.Listener      // by service, those that are accepted from
	before   map[string]map[string]uint64 // by service, visitors that former sites refused
	tended   bool                         // certificates are
}

// site ends the HTTP, and mostly the TLS, of the clients of one service.
type site struct {
	*web.Site
	service settings.Service
	except  []string
	guard   *login.Guard // nil: visitors need not show anything
	byACME  bool         // it needs a certificate from an authority
	door    *door
	stop    context.CancelFunc // set when it is served
}

// newSites makes the sites of the services for which the node ends HTTP, and reads the certificates in files.
func newSites(config settings.Node, log *slog.Logger) (s *sites, err error) {
	s = &sites{
		asking: guards.Maker{Place: login.AtNode, DataDir: config.DataDir, Work: login.NewWork(), Log: log}, log: log, names: make(map[string]string), accepted: make(map[string]net.Listener), before: make(map[string]map[string]uint64),
		acme: acme.New(acme.Config{
			Directory: config.ACMEDirectory, Folder: filepath.Join(config.DataDir, acmeFolder), Log: log,
		}),
	}
	s.all, err = s.plan(config.Services)
	return s, err
}

// plan returns the sites of services, of which those that are the same stay.
func (s *sites) plan(services []settings.Service) (map[string]*site, error) {
	all := make(map[string]*site)
	for _, service := range services {
		if !service.EndsHTTP() {
			continue
		}
		except := namesWithin(service.Domain, services)
		if now := s.of(service.Name); now != nil && reflect.DeepEqual(now.service, service) && slices.Equal(now.except, except) {
			all[service.Name] = now
			continue
		}
		one, err := s.newSite(service, except)
		if err != nil {
			return nil, err
		}
		all[service.Name] = one
	}
	return all, nil
}

func (s *sites) newSite(service settings.Service, except []string) (one *site, err error) {
	one = &site{service: service, except: except, door: newDoor()}
	config := web.Config{
		Domain: service.Domain, Except: except, Plain: service.Domain == "" && service.Host != "" && !service.AsksVisitors(), Host: service.Host, Log: s.log,
		Dial: func(ctx context.Context) (net.Conn, error) { return s.node.Dial(ctx, service.Name) },
	}
	switch {
	case !service.EndsTLS():
	case service.Certificate == "":
		one.byACME, config.GetCertificate, config.Protocols = true, s.acme.GetCertificate, []string{acme.Protocol}
	default:
		pair, err := web.LoadKeyPair(service.Certificate, service.Key, s.log)
		if err != nil {
			return nil, err
		}
		config.GetCertificate = pair.GetCertificate
	}
	if service.AsksVisitors() {
		if one.guard, err = s.asking.Make(cmp.Or(service.Domain, service.Name), service.Login); err != nil {
			return nil, err
		}
		config.Visitors = one.guard
	}
	one.Site = web.New(config)
	return one, nil
}

// of returns the site of a service; nil: there is none.
func (s *sites) of(service string) *site {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[service]
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
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := maps.Clone(s.before[service])
	if one := s.all[service]; one != nil && one.guard != nil {
		counts = added(counts, one.guard.Refused())
	}
	return counts
}

func added(a, b map[string]uint64) map[string]uint64 {
	if a == nil {
		a = make(map[string]uint64)
	}
	for reason, n := range b {
		a[reason] += n
	}
	return a
}

// leased has the certificate of a service ordered: from now on the authority can connect to its name.
func (s *sites) leased(l node.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[l.Service] = ""
	if name, err := url.Parse(l.Name); err == nil {
		s.names[l.Service] = name.Hostname()
	}
	s.nameLocked(l.Service)
}

// nameLocked tells the site of a service its name, if it has one below the server's, and has its certificate ordered.
func (s *sites) nameLocked(service string) {
	one, name := s.all[service], s.names[service]
	if one == nil {
		return
	}
	if one.service.Domain != "" {
		name = one.service.Domain
	} else if name != "" {
		one.SetDomain(name)
	}
	if name != "" && one.byACME {
		s.acme.Want(name, "")
	}
}
