package node

import (
	"testing"

	"apquic/certs"
)

// TestPrivateServiceIsNotPublic: a service cannot be private and have something that is public.
func TestPrivateServiceIsNotPublic(t *testing.T) {
	t.Parallel()
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Service){
		"":           func(*Service) {},
		"port":       func(s *Service) { s.PublicPort = 20000 },
		"domain":     func(s *Service) { s.Domain = "www.example.org" },
		"name":       func(s *Service) { s.TLS = 2 },
		"any name":   func(s *Service) { s.TLS, s.NameIfAny = 2, true },
		"plain HTTP": func(s *Service) { s.PlainHTTP = true },
		"UDP":        func(s *Service) { s.Upstream = "udp://127.0.0.1:53" },
	} {
		service := Service{Name: "web", Upstream: "127.0.0.1:80", Private: true}
		change(&service)
		_, err := New(Config{Key: key, Server: key.ID(), Address: "127.0.0.1:1", Services: []Service{service}})
		if (err == nil) != (name == "") {
			t.Errorf("with %q: %v", name, err)
		}
	}
}
