package settings

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tailscale/hujson"

	"apquic/certs"
)

const maxText = 1024 // bytes

// into returns a field.set that stores what read returns for a value.
func into[T any](target *T, read func(value) (T, error)) func(value) error {
	return func(v value) error {
		result, err := read(v)
		if err == nil {
			*target = result
		}
		return err
	}
}

// parsed reads a text with the parse function of another package.
func parsed[T any](parse func(string) (T, error)) func(value) (T, error) {
	return func(v value) (result T, err error) {
		s, err := text(v)
		if err != nil {
			return result, err
		}
		if result, err = parse(s); err != nil {
			return result, complete{err}
		}
		return result, nil
	}
}

// placeholder matches the placeholders in templates.
var placeholder = regexp.MustCompile(`\b(YOUR|TARGET)[-_][A-Z]|[A-Z][-_]HERE\b`)

// text reads a text on one line. Errors do not repeat it, since it may be a secret.
func text(v value) (string, error) {
	literal, ok := v.node.Value.(hujson.Literal)
	if !ok || literal.Kind() != '"' {
		return "", v.mismatch()
	}
	s := literal.String()
	switch {
	case placeholder.MatchString(s):
		return "", errors.New("this is still a placeholder")
	case s == "":
		return "", errors.New("the text is empty")
	case len(s) > maxText:
		return "", fmt.Errorf("the text has %d bytes, but only %d are allowed", len(s), maxText)
	case strings.TrimSpace(s) != s:
		return "", errors.New("there are spaces around the text")
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", errors.New("there are control characters in the text")
	}
	return s, nil
}

func boolean(v value) (bool, error) {
	switch v.node.Value.Kind() {
	case 't', 'f':
		return v.node.Value.(hujson.Literal).Bool(), nil
	}
	return false, v.mismatch()
}

// whole reads a whole number from least to most; it may be in quotes.
func whole[T int | int64 | uint16 | uint32](least, most T) func(value) (T, error) {
	return func(v value) (T, error) {
		var digits string
		var err error
		if v.node.Value.Kind() == '0' {
			digits = string(v.node.Value.(hujson.Literal))
		} else if digits, err = text(v); err != nil {
			return 0, err
		}
		number, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s is not a whole number", readable(digits))
		}
		if number < int64(least) || number > int64(most) {
			return 0, fmt.Errorf("%d is not from %d to %d", number, least, most)
		}
		return T(number), nil
	}
}

func port(v value) (uint16, error) { return whole[uint16](1, 65535)(v) }

// duration reads "180m", or a number of seconds, which may be in quotes.
func duration(v value) (time.Duration, error) {
	seconds := whole[int64](0, int64(longest/time.Second))
	if v.node.Value.Kind() == '0' {
		n, err := seconds(v)
		return time.Duration(n) * time.Second, err
	}
	s, err := text(v)
	if err != nil {
		return 0, err
	}
	if strings.Trim(s, "0123456789") == "" {
		n, err := seconds(v)
		return time.Duration(n) * time.Second, err
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%s is not a duration", readable(s))
	}
	return d, nil
}

// host reads a name or an IP address.
func host(v value) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	return parseHost(s)
}

// parseHost checks that s can be the host of an invitation and returns its one spelling.
func parseHost(s string) (string, error) {
	// Only package certs knows what a host is.
	invitation, err := certs.ParseInvitation(certs.Invitation{Server: certs.NodeID{1}, Host: s, Port: 1}.String())
	if err != nil {
		return "", fmt.Errorf("%s is neither a host name nor an IP address", readable(s))
	}
	return invitation.Host, nil
}

// upstreamHost reads the host of an upstream, which may also have a zone: fe80::1%eth0.
func upstreamHost(v value) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if _, err := parseUpstream(joinPort(s, 1)); err != nil {
		return "", fmt.Errorf("%s is neither a host name nor an IP address", readable(s))
	}
	return s, nil
}

func joinPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
