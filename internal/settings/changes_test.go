package settings

import (
	"slices"
	"testing"

	"apquic/certs"
)

// TestFollow: what a running node takes over from a changed file, and what it says about the rest.
func TestFollow(t *testing.T) {
	t.Parallel()
	const invitation = "apquic://" + serverID + "@192.0.2.1:8090"
	parse := func(text string) (n Node) {
		t.Helper()
		n = DefaultNode()
		if err := ParseNode("f", []byte(text), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const before = `{"server": "` + invitation + `", "netId": 3, "services": {
		"same": "127.0.0.1:1", "moved": "127.0.0.1:2", "gone": "127.0.0.1:3",
		"login": {"upstream": "http://127.0.0.1:4", "domain": "a.example.org", "password": {"anna": "$2a$12$0123456789012345678901uHqKXb1uE7uqabWucdefghijklmnopq"}}}}`
	const after = `{"server": "` + invitation + `", "netId": 4, "logLevel": "debug", "keepalive": "20s", "services": {
		"same": "127.0.0.1:1", "moved": "127.0.0.1:22", "new": "127.0.0.1:5",
		"login": {"upstream": "http://127.0.0.1:4", "domain": "a.example.org", "password": {"anna": "$2a$12$9123456789012345678901uHqKXb1uE7uqabWucdefghijklmnopq"}}}}`
	running, next := parse(before), parse(after)
	if _, changes := running.Follow(parse(before)); changes != nil {
		t.Errorf("of the same file: %v", changes)
	}
	now, changes := running.Follow(next)
	want := []Change{
		{What: "services.moved: tcp://127.0.0.1:2 at any public port -> tcp://127.0.0.1:22 at any public port", Live: true},
		{What: "services.new: added, tcp://127.0.0.1:5 at any public port", Live: true},
		{What: "services.login: changed", Live: true},
		{What: "services.gone: removed", Live: true},
		{What: "keepalive: 15s -> 20s"},
		{What: "netId: 3 -> 4"},
		{What: "logLevel: info -> debug", Live: true},
	}
	if !slices.Equal(changes, want) {
		t.Errorf("got\n%+v\nwant\n%+v", changes, want)
	}
	if now.NetID != 3 || now.Keepalive != running.Keepalive || now.LogLevel != "debug" || len(now.Services) != 4 || len(running.Services) != 4 || running.LogLevel != "info" {
		t.Errorf("now %+v", now)
	}
	if _, changes := now.Follow(next); len(changes) != 2 {
		t.Errorf("once more: %v", changes)
	}
	spent := parse(before)
	spent.Server.Secret = []byte("secret")
	if _, changes := running.Follow(spent); changes != nil {
		t.Errorf("another secret: %v", changes)
	}
	withKey := parse(before)
	withKey.Carrier.Key, _ = certs.GenerateKey()
	if _, changes := running.Follow(withKey); !slices.Equal(changes, []Change{{What: "peerPrivateKey: changed"}}) {
		t.Errorf("another key: %v", changes)
	}
}
