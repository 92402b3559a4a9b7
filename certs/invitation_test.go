package certs

import (
	"bytes"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/mr-tron/base58"
)

func TestInvitation(t *testing.T) {
	t.Parallel()
	id := mustParseID(t, bootstrapID)
	secret := []byte("sixteen bytes is")
	text := base58.Encode(secret)
	tests := []struct {
		in      string
		want    Invitation
		out     string // "" for the same as in
		address string
	}{
		{"apquic://" + bootstrapID + "@203.0.113.5:8090#" + text, Invitation{id, "203.0.113.5", 8090, secret}, "", "203.0.113.5:8090"},
		{"apquic://" + bootstrapID + "@203.0.113.5:8090", Invitation{id, "203.0.113.5", 8090, nil}, "", "203.0.113.5:8090"},
		{"apquic://" + bootstrapID + "@[2001:db8::5]:1#" + text, Invitation{id, "2001:db8::5", 1, secret}, "", "[2001:db8::5]:1"},
		{"apquic://" + bootstrapID + "@[2001:DB8:0::5]:1", Invitation{id, "2001:db8::5", 1, nil},
			"apquic://" + bootstrapID + "@[2001:db8::5]:1", "[2001:db8::5]:1"},
		{"apquic://" + bootstrapID + "@My-Server.example.org.:65535", Invitation{id, "My-Server.example.org.", 65535, nil}, "", "My-Server.example.org.:65535"},
		{"apquic://" + bootstrapID + "@raspberry_pi:8090", Invitation{id, "raspberry_pi", 8090, nil}, "", "raspberry_pi:8090"},
		{"apquic://0x" + bootstrapHex + "@h:08090", Invitation{id, "h", 8090, nil}, "apquic://" + bootstrapID + "@h:8090", "h:8090"},
		{"apquic://" + bootstrapID + "@h:1#" + strings.Repeat("1", 64), Invitation{id, "h", 1, make([]byte, 64)}, "", "h:1"},
	}
	for _, test := range tests {
		got, err := ParseInvitation(test.in)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %#v, %v", test.in, got, err)
			continue
		}
		if test.out == "" {
			test.out = test.in
		}
		if got.String() != test.out || got.Address() != test.address {
			t.Errorf("%s: String %s, Address %s", test.in, got, got.Address())
		}
	}
}

func TestParseInvitationRefuses(t *testing.T) {
	t.Parallel()
	const secret = "SECRETsecretSECRET"
	const good = "apquic://" + bootstrapID + "@host.example:8090#" + secret
	if _, err := ParseInvitation(good); err != nil {
		t.Fatal(err)
	}
	replace := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	for name, s := range map[string]string{
		"empty":                 "",
		"no scheme":             replace("apquic://", ""),
		"other scheme":          replace("apquic", "https"),
		"no id":                 replace(bootstrapID, ""),
		"bad id":                replace(bootstrapID, bootstrapID[3:]),
		"no @":                  replace("@", ""),
		"two @":                 replace("@", "@@"),
		"space before":          " " + good,
		"newline":               replace("#", "\n#"),
		"no port":               replace(":8090", ""),
		"empty port":            replace("8090", ""),
		"port 0":                replace("8090", "0"),
		"port 65536":            replace("8090", "65536"),
		"port with sign":        replace("8090", "+8090"),
		"port in words":         replace("8090", "http"),
		"path":                  replace("#", "/#"),
		"no host":               replace("host.example", ""),
		"bare IPv6":             replace("host.example", "2001:db8::5"),
		"IPv4 in brackets":      replace("host.example", "[192.0.2.1]"),
		"name in brackets":      replace("host.example", "[host.example]"),
		"zone":                  replace("host.example", "[fe80::1%eth0]"),
		"mistyped IPv4":         replace("host.example", "192.0.2.256"),
		"short IPv4":            replace("host.example", "192.0.2"),
		"space in host":         replace("host.example", "host example"),
		"not ASCII":             replace("host.example", "höst.example"),
		"escape in host":        replace("host.example", "host\x1b[2J"),
		"empty label":           replace("host.example", "host..example"),
		"only a dot":            replace("host.example", "."),
		"long label":            replace("host.example", strings.Repeat("a", 64)),
		"long name":             replace("host.example", strings.Repeat("a.", 127)+"aa"),
		"empty secret":          replace(secret, ""),
		"bad secret":            replace(secret, secret+"0"),
		"secret of two":         good + "#" + secret,
		"secret too long":       replace(secret, strings.Repeat("1", 65)),
		"secret much too long":  replace(secret, strings.Repeat("z", 89)),
		"too long":              replace(secret, strings.Repeat("1", maxInvitation)),
		"id and server swapped": "apquic://host.example:8090@" + bootstrapID + "#" + secret,
	} {
		got, err := ParseInvitation(s)
		if err == nil || !reflect.DeepEqual(got, Invitation{}) {
			t.Errorf("%s: %v, %v; want an error", name, got, err)
			continue
		}
		if strings.Contains(err.Error(), secret) || hintOf(err) == "" {
			t.Errorf("%s: the error shows the secret or has no hint: %v", name, err)
		}
	}
}

func TestInvitationSecretInLogs(t *testing.T) {
	t.Parallel()
	invitation := Invitation{mustParseID(t, bootstrapID), "h", 1, []byte("sixteen bytes is")}
	secret := base58.Encode(invitation.Secret)
	if !strings.HasSuffix(fmt.Sprint(invitation), "#"+secret) {
		t.Errorf("String: %v", invitation)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "invitation", invitation)
	if got := log.String(); strings.Contains(got, secret) || !strings.Contains(got, "@h:1#…") {
		t.Errorf("log: %s", got)
	}
	if got, want := invitation.Redacted(), "apquic://"+bootstrapID+"@h:1#…"; got != want {
		t.Errorf("Redacted: %s, want %s", got, want)
	}
	invitation.Secret = nil
	if got, want := invitation.Redacted(), "apquic://"+bootstrapID+"@h:1"; got != want {
		t.Errorf("Redacted: %s, want %s", got, want)
	}
}

func FuzzParseInvitation(f *testing.F) {
	for _, s := range []string{
		"",
		"apquic://",
		"apquic://" + bootstrapID + "@203.0.113.5:8090#4fuQyx9zW5SkZsKf",
		"apquic://" + bootstrapID + "@[2001:db8::5]:8090",
		"apquic://" + bootstrapID + "@[::ffff:192.0.2.1]:8090#1",
		"apquic://0x" + bootstrapHex + "@a.b.example.:1#z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, err := ParseInvitation(s)
		if err != nil {
			return
		}
		if len(first.Secret) > maxJoinSecret || first.Port == 0 || first.Server.IsZero() || first.Host == "" {
			t.Fatalf("%q: %#v", s, first)
		}
		second, err := ParseInvitation(first.String())
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Fatalf("%q: parsed again: %#v, %v; want %#v", s, second, err, first)
		}
	})
}
