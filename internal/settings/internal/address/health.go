package address

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"apquic/internal/domain"
	"apquic/internal/hint"
)

const (
	// HealthTCP is the health check that only connects.
	HealthTCP = "tcp"
	// WantHealth is what [ParseHealth] reads, for people.
	WantHealth = `"tcp", or the path of an HTTP request such as "/healthz"`

	// LeastCanary and MostCanary bound how often a server is asked to ask a service (docs/protocol.md section 6.7).
	LeastCanary, MostCanary = 10 * time.Second, 24 * time.Hour
	// WantCanary is that, for people.
	WantCanary = `how often the server asks the service, such as "1m", from 10s to 24h`
)

// ParseHealth reads how to check whether a service is well.
func ParseHealth(s string) (string, error) {
	if target, err := url.ParseRequestURI(s); s == HealthTCP || strings.HasPrefix(s, "/") && err == nil && target.Host == "" {
		return s, nil
	}
	return "", fmt.Errorf("%s is not %s", hint.Readable(s), WantHealth)
}

// DescribeHealth says how a service is checked, to follow where it is.
func DescribeHealth(health string, canary time.Duration) (text string) {
	switch health {
	case "":
	case HealthTCP:
		text = ", checked by a connection every 10 s"
	default:
		text = ", checked by a request for " + health + " every 10 s"
	}
	if canary != 0 {
		text += fmt.Sprintf(", asked through the server every %g s", canary.Seconds())
	}
	return text
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
