//go:build linux

package netns

import "time"

// limits is how long each event may keep relays of each kind without an arrival; for outages, from their end.
var limits = map[string]map[kind]time.Duration{
	// The node does not know that its NAT forgot: its next packet repairs it.
	"rebind": {idle: keepalive + 2*time.Second, echo: ms(1500), download: ms(1500), upload: ms(1500)},
	// With lanes, and new visitors.
	"rebind with lanes": {echo: ms(1000), "new": ms(5000)},
	// Home gets another address, another route, another interface.
	"address": {idle: keepalive + 2*time.Second, echo: ms(1500), download: ms(1500), upload: ms(1500)},
	// Two overlapping changes: an upload, whose window is full, waits for QUIC's timer to answer the
	// challenge of the new path.
	"flap":      {idle: keepalive + 2*time.Second, echo: ms(1500), download: ms(1500), upload: ms(3000)},
	"route":     {idle: keepalive + 2*time.Second, echo: ms(1500), download: ms(1500), upload: ms(1500)},
	"interface": {idle: keepalive + 2*time.Second, echo: ms(1500), download: ms(1500), upload: ms(1500)},
	// The goal is a second, plus half a second for the machine.
	"5s outage":   {idle: ms(1500), echo: ms(1500), download: ms(1500), upload: ms(1500)},
	"20s outage":  {idle: ms(1500), echo: ms(1500), download: ms(1500), upload: ms(1500)},
	"1m0s outage": {idle: ms(1500), echo: ms(1500), download: ms(1500), upload: ms(1500)},
	// The node may have asked just before the link came back, and asks again within 1.6 s; or it paused for
	// up to a second. Then a handshake and half a second for the machine.
	"lost connection": {idle: ms(3000), echo: ms(3000), download: ms(3000), upload: ms(3000)},
	// Until a new visitor is served, from when the new server listens, with such a relay on the old one.
	"restart after 1s": {idle: ms(2500), echo: ms(2500)},
	"restart after 8s": {idle: ms(2500), echo: ms(2500)},
}

func ms(n time.Duration) time.Duration { return n * time.Millisecond }
