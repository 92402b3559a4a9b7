package address

import (
	"fmt"
	"net/url"
	"strings"

	"apquic/internal/domain"
	"apquic/internal/hint"
)

const (
	// HealthTCP is the health check that only connects.
	HealthTCP = "tcp"
	// WantHealth is what [ParseHealth] reads, for people.
	WantHealth = `"tcp", or the path of an HTTP request such as "/healthz"`
)

// ParseHealth reads how to check whether a service is well.
func ParseHealth(s string) (string, error) {
	if target, err := url.ParseRequestURI(s); s == HealthTCP || strings.HasPrefix(s, "/") && err == nil && target.Host == "" {
		return s, nil
	}
	return "", fmt.Errorf("%s is not %s", hint.Readable(s), WantHealth)
}

// CheckOwnDomain checks the name below which a server gives others.
func CheckOwnDomain(name string) error {
	if name == "" {
		return nil
	}
	if own, err := domain.Parse(name); err != nil {
		return err
	} else if own != name || domain.IsWildcard(name) {
		return fmt.Errorf("%s is not a name in lower case without *, such as tunnel.example.org", hint.Readable(name))
	}
	return nil
}
