package server

import (
	"testing"
	"time"

	"apquic/internal/settings"
	"apquic/lease"
)

// TestServerDefaults: apquic-server has the defaults that the library has for programs of others.
func TestServerDefaults(t *testing.T) {
	t.Parallel()
	var library Config
	library.setDefaults()
	program := settings.DefaultServer()
	if got, want := program.Range.String(), library.Ports.String(); got != want {
		t.Errorf("range %s, the library has %s", got, want)
	}
	for name, pair := range map[string][2]time.Duration{
		"leaseTime":   {program.LeaseTime, lease.DefaultHoldTime},
		"park":        {program.Park, library.Park},
		"flowIdle":    {program.FlowIdle, library.FlowIdle},
		"idleTimeout": {program.IdleTimeout, library.IdleTimeout},
		"resumeTime":  {program.ResumeTime, library.ResumeTime},
		"drain":       {program.Drain, library.Drain},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s %v, the library has %v", name, pair[0], pair[1])
		}
	}
	for name, pair := range map[string][2]int{
		"maxServices":          {program.MaxServices, lease.DefaultMaxPerNode},
		"maxClients":           {program.MaxClients, defaultMaxClients},
		"maxClientsPerAddress": {program.MaxClientsPerAddress, defaultMaxClientsPerAddress},
		"memory":               {int(program.Memory), int(library.Memory)}, // 0: a share of the machine's, which the library takes
		"netId":                {int(program.NetID), int(library.NetID)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s %d, the library has %d", name, pair[0], pair[1])
		}
	}
	if program.Silent == library.AnswerStrangers {
		t.Errorf("silent %v, the library answers strangers: %v", program.Silent, library.AnswerStrangers)
	}
}
