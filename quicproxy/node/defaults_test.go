package node

import (
	"testing"
	"time"

	"apquic/certs"
	"apquic/internal/settings"
)

// TestNodeDefaults: apquic-node has the defaults that the library has for programs of others.
func TestNodeDefaults(t *testing.T) {
	t.Parallel()
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	node, err := New(Config{Key: key, Server: key.ID(), Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	library, program := node.config, settings.DefaultNode()
	for name, pair := range map[string][2]time.Duration{
		"keepalive":   {program.Keepalive, library.Keepalive},
		"idleTimeout": {program.IdleTimeout, library.IdleTimeout},
		"resumeTime":  {program.ResumeTime, library.ResumeTime},
		"drain":       {program.Drain, library.Drain},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s %v, the library has %v", name, pair[0], pair[1])
		}
	}
	if !program.IPv4 || !program.IPv6 || library.Network != "udp" {
		t.Errorf("ipv4 %v, ipv6 %v, the library has %s", program.IPv4, program.IPv6, library.Network)
	}
	if int64(program.Memory) != library.Memory || program.NetID != library.NetID {
		t.Errorf("memory %v, netId %d, the library has %d, %d", program.Memory, program.NetID, library.Memory, library.NetID)
	}
	if settings.AutoKeepalive >= 0 {
		t.Errorf("auto is %v, for which the library learns nothing", settings.AutoKeepalive)
	}
}
