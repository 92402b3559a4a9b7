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
	text := encodeJoinSecret(id, secret)
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
		{"apquic://" + bootstrapID + "@h:1#" + encodeJoinSecret(id, make([]byte, 64)), Invitation{id, "h", 1, make([]byte, 64)}, "", "h:1"},
		{" \r\n\tapquic://" + bootstrapID + "@h:1#" + text + "\r\n", Invitation{id, "h", 1, secret}, "apquic://" + bootstrapID + "@h:1#" + text, "h:1"},
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
	id := mustParseID(t, bootstrapID)
	secret := encodeJoinSecret(id, []byte("sixteen bytes is"))
	good := "apquic://" + bootstrapID + "@host.example:8090#" + secret
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
		"space within":          replace("#", " #"),
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
		"one byte too long":     replace(secret, encodeJoinSecret(id, make([]byte, 65))),
		"secret too long":       replace(secret, strings.Repeat("1", 66)),
		"secret much too long":  replace(secret, strings.Repeat("z", 92)),
		"secret without check":  replace(secret, base58.Encode([]byte("sixteen bytes is"))),
		"check without secret":  replace(secret, encodeJoinSecret(id, nil)),
		"secret of another":     replace(secret, encodeJoinSecret(NodeID{1}, []byte("sixteen bytes is"))),
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
	secret := encodeJoinSecret(invitation.Server, invitation.Secret)
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
		"apquic://" + bootstrapID + "@203.0.113.5:8090#" + encodeJoinSecret(NodeID{1}, []byte("sixteen bytes is")),
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

// TestWhatIsNoInvitation: the error names what people pasted instead, or lost while copying.
func TestWhatIsNoInvitation(t *testing.T) {
	t.Parallel()
	const public = "apquic://" + bootstrapID + "@host.example:8090"
	for s, want := range map[string]string{
		"":                             "empty",
		"  \n":                         "empty",
		"https://example.com/x#y":      "web page",
		"HTTP://example.com":           "web page",
		"tcp://203.0.113.5:20000":      "public address of a service",
		bootstrapID:                    "only the id of a server or node",
		"host.example:8090":            "only an address",
		"apquic:/" + bootstrapID:       "does not begin with apquic://",
		"--server " + public:           "something comes before apquic://",
		"'" + public + "'":             "something comes before apquic://",
		public + "#":                   "nothing follows the #",
		public + "# ":                  "nothing follows the #",
		public + "#4fuQyx9zW5SkZsKfab": "cut short or mistyped",
		public + "#0OIl":               "cut short or mistyped",
		public + "#1":                  "cut short or mistyped",
	} {
		_, err := ParseInvitation(s)
		if err == nil || !strings.Contains(err.Error(), want) || hintOf(err) == "" {
			t.Errorf("%q: %v; want %q and a hint", s, err, want)
		}
	}
	if _, err := ParseInvitation(public + "#"); !strings.Contains(hintOf(err), "quotes") {
		t.Errorf("the hint for a missing secret: %q", hintOf(err))
	}
}

// TestSecretCheck: every truncated, transposed or wrong character in a secret is noticed, except one in
// 65536.
func TestSecretCheck(t *testing.T) {
	t.Parallel()
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	id := mustParseID(t, bootstrapID)
	tries, passed := 0, 0
	try := func(text, right string) {
		if text == right {
			return
		}
		tries++
		if _, err := decodeJoinSecret(id, text); err == nil {
			passed++
		}
	}
	for i := range 20 {
		right := encodeJoinSecret(id, []byte(fmt.Sprintf("secret number %02d", i)))
		for at := range right {
			try(right[:at], right)
			try(right[at:], right)
			try(right[:at]+right[at+1:], right)
			if at > 0 {
				try(right[:at-1]+right[at:at+1]+right[at-1:at]+right[at+1:], right)
			}
			for _, c := range alphabet {
				try(right[:at]+string(c)+right[at+1:], right)
			}
		}
	}
	if tries < 20000 || passed > 4 {
		t.Errorf("%d of %d mistakes passed", passed, tries)
	}
}
