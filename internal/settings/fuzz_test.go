package settings

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"apquic/internal/settings/internal/jsonc"
)

func addSeeds(f *testing.F) {
	for _, name := range []string{"server", "placeholders", "sample"} {
		f.Add(readTestdata(f, "seeds/"+name+".conf"))
	}
	for _, example := range docExamples(f) {
		f.Add([]byte(example.text))
	}
	f.Add([]byte(`{"services": {"a": {"upstream": "unix:/x", "publicPort": "1"}, "a": 1}, "drain": "1h", "netId": 1e9, "ipv4": false, "ipv6": false}`))
	f.Add([]byte("\ufeff// x\n{/**/}"))
}

// checkMistakes checks that all mistakes are in the file.
func checkMistakes(t *testing.T, data []byte, err error) {
	mistakes, ok := errors.AsType[Errors](err)
	if !ok || len(mistakes) == 0 || len(mistakes) > 101 {
		t.Fatalf("a %T with %d mistakes: %v", err, len(mistakes), err)
	}
	lines := 1 + bytes.Count(data, []byte("\n"))
	for _, m := range mistakes {
		if len(data) <= jsonc.MaxSize && (m.Line < 1 || m.Line > lines || m.Column < 1 || m.Column > len(data)+1) || m.Text == "" || len(m.Text) > 4<<10 {
			t.Errorf("mistake at %d:%d of %d lines: %v", m.Line, m.Column, lines, m)
		}
	}
}

func FuzzParseServer(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := DefaultServer()
		if err := ParseServer("f", data, &s); err != nil {
			checkMistakes(t, data, err)
			return
		}
		// Only what depends on something outside the file may be left to find.
		if err := s.Validate(); err != nil && s.IPv4 && s.IPv6 {
			t.Errorf("accepted, and then: %v", err)
		}
		if s.Describe() == "" {
			t.Error("no description")
		}
	})
}

func FuzzParseNode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		n := DefaultNode()
		if err := ParseNode("f", data, &n); err != nil {
			checkMistakes(t, data, err)
			return
		}
		complete := !n.Server.Server.IsZero() && len(n.Services) > 0
		if err := n.Validate(); err != nil && complete && n.IPv4 && n.IPv6 && n.Keepalive < n.IdleTimeout {
			t.Errorf("accepted, and then: %v", err)
		}
		if secret := n.Server.Secret; len(secret) >= 8 && bytes.Contains([]byte(n.Describe()), secret) {
			t.Error("the secret is in the description")
		}
	})
}

func FuzzParseService(f *testing.F) {
	for _, s := range []string{"127.0.0.1:80", "web=[::1]:80", "unix:/run/a=b", "a=unix:/x", "80", "="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		service, err := parseService(text)
		if err != nil {
			return
		}
		// What comes out means the same when it is given in full.
		named := nameServices([]Service{service})[0]
		again, err := parseService(named.Name + "=" + named.Upstream)
		if err != nil || !reflect.DeepEqual(again, named) {
			t.Errorf("%q is %+v, and that is %+v, %v", text, named, again, err)
		}
	})
}
