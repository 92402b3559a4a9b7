package settings

import (
	"fmt"
	"strings"
	"testing"
)

// TestServicePorts: a service with ports is one for each of them, to the same port upstream.
func TestServicePorts(t *testing.T) {
	t.Parallel()
	for object, want := range map[string]string{
		`{"upstream": "udp://192.168.1.5", "ports": "30000-30002"}`: "game-30000 udp://192.168.1.5:30000 30000, game-30001 udp://192.168.1.5:30001 30001, game-30002 udp://192.168.1.5:30002 30002",
		`{"ports": "53,30000", "upstream": "tcp+udp://[::1]"}`:      "game-53 tcp+udp://[::1]:53 53, game-30000 tcp+udp://[::1]:30000 30000",
		`{"ports": "80", "upstream": "nas.lan"}`:                    "game-80 tcp://nas.lan:80 80",
	} {
		n := DefaultNode()
		err := ParseNode("node.json", []byte(`{"services": {"game": `+object+`}}`), &n)
		var got []string
		for _, s := range n.Services {
			got = append(got, fmt.Sprint(s.Name, " ", s.Upstream, " ", s.PublicPort))
		}
		if text := strings.Join(got, ", "); err != nil || text != want {
			t.Errorf("%s: %s, %v", object, text, err)
		}
	}
	for object, want := range map[string]string{
		`{"upstream": "udp://127.0.0.1:53", "ports": "53"}`:        "without port",
		`{"upstream": "unix:/run/app.sock", "ports": "53"}`:        "not a host",
		`{"upstream": "127.0.0.1", "ports": "1-1025"}`:             "at most 1024",
		`{"upstream": "127.0.0.1", "ports": "9-8"}`:                "ends before it begins",
		`{"upstream": "127.0.0.1", "ports": 8}`:                    "30000-30010",
		`{"upstream": "127.0.0.1", "ports": "8", "publicPort": 8}`: "there are ports",
		`{"ports": "8"}`: "upstream is missing",
		`{"upstream": "127.0.0.1", "ports": "20"}, "game-20": "1.2.3.4:5"`: "two services",
	} {
		n := DefaultNode()
		err := ParseNode("node.json", []byte(`{"services": {"game": `+object+`}}`), &n)
		if err == nil {
			err = n.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", object, err, want)
		}
	}
}
