package certs

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"apquic/internal/hint"
)

// Invitation is all that a new node must know: who the server is, where it is, and the join secret that
// admits the node once. Its text form is
//
//	apquic://SERVERID@HOST:PORT#SECRET
//
// with an IPv6 address in brackets, and without # if there is no secret. SECRET includes a two-byte check, so
// that a truncated or mistyped one is noticed before anybody connects.
type Invitation struct {
	Server NodeID
	Host   string // name or IP address, without brackets
	Port   uint16
	Secret []byte // at most 64 bytes
}

const (
	invitationScheme = "apquic://"
	maxInvitation    = 512 // characters

	copyWhole = "an invitation looks like apquic://SERVERID@HOST:PORT#SECRET: copy the whole line that the server prints"
	useQuotes = "put quotes around the invitation, since # begins a comment in many places: 'apquic://SERVERID@HOST:PORT#SECRET'"
)

// ParseInvitation reads the text form, ignoring spaces and line ends around it. Errors do not repeat the
// secret.
func ParseInvitation(s string) (Invitation, error) {
	invitation, err := parseInvitation(strings.TrimSpace(s))
	if err == nil {
		return invitation, nil
	}
	advice := copyWhole
	if errors.Is(err, errNoSecret) {
		advice = useQuotes
	}
	return Invitation{}, hint.Add(fmt.Errorf("invitation: %w", err), "%s", advice)
}

func parseInvitation(s string) (invitation Invitation, err error) {
	if len(s) > maxInvitation {
		return Invitation{}, fmt.Errorf("%d characters, want at most %d", len(s), maxInvitation)
	}
	rest, ok := strings.CutPrefix(s, invitationScheme)
	if !ok {
		return Invitation{}, noInvitation(s)
	}
	if strings.ContainsFunc(s, unicode.IsSpace) {
		return Invitation{}, errors.New("there is a space or a line break in it")
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
		if invitation.Secret, err = decodeJoinSecret(invitation.Server, secret); err != nil {
			return Invitation{}, err
		}
	}
	return invitation, nil
}

// noInvitation says what s is instead. It does not repeat s, since that may be a secret.
func noInvitation(s string) error {
	scheme, _, isURL := strings.Cut(s, "://")
	_, _, addressErr := parseAddress(s)
	_, idErr := decodeNodeID(s)
	is := ""
	switch {
	case s == "":
		return errors.New("it is empty")
	case strings.Contains(s, invitationScheme):
		return errors.New("something comes before " + invitationScheme)
	case strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"):
		is = ": this is the address of a web page"
	case strings.EqualFold(scheme, "tcp") && isURL:
		is = ": this is the public address of a service"
	case idErr == nil:
		is = ": this is only the id of a server or node"
	case addressErr == nil:
		is = ": this is only an address, without the server's id"
	}
	return errors.New("it does not begin with " + invitationScheme + is)
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

// isHostName reports whether s can be a DNS name: RFC 1123 section 2.1, plus underscores, which are in use. A
// last label of only digits is a mistyped IP address.
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

// String returns the text form WITH THE SECRET, for the person who invites, never for a log. See
// [Invitation.Redacted].
func (i Invitation) String() string {
	if len(i.Secret) == 0 {
		return i.public()
	}
	return i.public() + "#" + encodeJoinSecret(i.Server, i.Secret)
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
