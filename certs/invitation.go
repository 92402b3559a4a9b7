package certs

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mr-tron/base58"
)

// Invitation is all that a new node must know: who the server is, where it is,
// and the join secret that lets the node in once. Its text form is
//
//	apquic://SERVERID@HOST:PORT#SECRET
//
// with an IPv6 address in brackets, and without # if there is no secret.
type Invitation struct {
	Server NodeID
	Host   string // name or IP address, without brackets
	Port   uint16
	Secret []byte // of 64 bytes at most; in base58 in the text form
}

const (
	invitationScheme = "apquic://"
	maxInvitation    = 512 // characters
	maxJoinSecret    = 64  // bytes
)

// ParseInvitation reads the text form. Errors do not repeat the secret.
func ParseInvitation(s string) (Invitation, error) {
	invitation, err := parseInvitation(s)
	if err != nil {
		return Invitation{}, withHint(fmt.Errorf("invitation: %w", err),
			"an invitation looks like apquic://SERVERID@HOST:PORT#SECRET: copy the whole line that the server prints")
	}
	return invitation, nil
}

func parseInvitation(s string) (invitation Invitation, err error) {
	if len(s) > maxInvitation {
		return Invitation{}, fmt.Errorf("%d characters, want %d at most", len(s), maxInvitation)
	}
	rest, ok := strings.CutPrefix(s, invitationScheme)
	if !ok {
		return Invitation{}, errors.New("it does not begin with " + invitationScheme)
	}
	rest, secret, hasSecret := strings.Cut(rest, "#")
	id, address, ok := strings.Cut(rest, "@")
	if !ok {
		return Invitation{}, errors.New("no @ between the server's id and its address")
	}
	if invitation.Server, err = decodeNodeID(id); err != nil {
		return Invitation{}, fmt.Errorf("the server's id: %w", err)
	}
	if invitation.Host, invitation.Port, err = parseAddress(address); err != nil {
		return Invitation{}, err
	}
	if hasSecret {
		if invitation.Secret, err = parseJoinSecret(secret); err != nil {
			return Invitation{}, err
		}
	}
	return invitation, nil
}

func parseAddress(address string) (host string, port uint16, err error) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: want HOST:PORT, with an IPv6 address in brackets", address)
	}
	number, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || number == 0 {
		return "", 0, fmt.Errorf("address %q: want a port from 1 to 65535", address)
	}
	ip, err := netip.ParseAddr(host)
	bracketed := strings.HasPrefix(address, "[")
	switch {
	case err == nil && ip.Zone() != "":
		return "", 0, fmt.Errorf("address %q: a zone means nothing on another computer", address)
	case err == nil && bracketed == ip.Is6():
		host = ip.String() // one spelling
	case err == nil || bracketed || !isHostName(host):
		return "", 0, fmt.Errorf("address %q: the host is neither a name nor an IP address", address)
	}
	return host, uint16(number), nil
}

// isHostName reports whether s can be a DNS name: RFC 1123 section 2.1, and
// underscores, which are in use. A last label of digits alone is a mistyped IP
// address.
func isHostName(s string) bool {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, isNoHostRune) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(s) <= 253 && strings.Trim(last, "0123456789") != ""
}

func isNoHostRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

func parseJoinSecret(s string) ([]byte, error) {
	if s == "" {
		return nil, errors.New("nothing after #, where the secret belongs")
	}
	// 64 bytes have 88 characters at most; decoding takes quadratic time.
	if len(s) > 88 {
		return nil, errors.New("the secret is too long")
	}
	secret, err := base58.Decode(s)
	if err != nil {
		return nil, errors.New("the secret is not base58")
	}
	if len(secret) > maxJoinSecret {
		return nil, errors.New("the secret is too long")
	}
	return secret, nil
}

// String returns the text form, WITH THE SECRET: it is for the person who
// invites, never for a log. See [Invitation.Redacted].
func (i Invitation) String() string {
	if len(i.Secret) == 0 {
		return i.public()
	}
	return i.public() + "#" + base58.Encode(i.Secret)
}

// Redacted returns the text form with "…" in place of the secret.
func (i Invitation) Redacted() string {
	if len(i.Secret) == 0 {
		return i.public()
	}
	return i.public() + "#…"
}

// LogValue is Redacted.
func (i Invitation) LogValue() slog.Value { return slog.StringValue(i.Redacted()) }

// Address returns "host:port" for a dialer.
func (i Invitation) Address() string {
	return net.JoinHostPort(i.Host, strconv.Itoa(int(i.Port)))
}

func (i Invitation) public() string {
	return invitationScheme + i.Server.String() + "@" + i.Address()
}
