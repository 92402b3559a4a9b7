package scale

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"apquic/certs"
	"apquic/internal/cmd/bench/proc"
)

// serverTimeout is how long the server may take until it listens.
const serverTimeout = 30 * time.Second

var (
	invitationLine = regexp.MustCompile(`^apquic://\S+$`)
	// logLine is a node that connected or that got a lease, as the server logs it.
	logLine = regexp.MustCompile(`msg=("node connected"|lease) .*\bnode=(\w+)(?:.* public=(\S+))?`)
)

// server is the program that is measured.
type server struct {
	process    *proc.Process
	invitation certs.Invitation
	address    string
}

// startServer starts the server in the data directory of the measurement: the second one finds what the first
// one left.
func (m *measurement) startServer(ctx context.Context, address string) (*server, error) {
	program, err := filepath.Abs(m.options.server)
	if err != nil {
		return nil, err
	}
	ports := fmt.Sprintf("%d-%d", m.firstPort, m.firstPort+m.count+m.count/10)
	p, err := proc.Place("").Start(m.data, program, "--open", "--max-leases-per-address", "65535", "--listen", address, "--public-host", "127.0.0.1",
		"--range", ports, "--ipv6=false", "--log-level", "debug", // lines that the log's limits suppress are written there
		"--data-dir", filepath.Join(m.data, "server"))
	if err != nil {
		return nil, err
	}
	s := &server{process: p}
	if err := s.awaitInvitation(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) awaitInvitation(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	line, err := s.process.Wait(ctx, invitationLine)
	if err != nil {
		return err
	}
	s.invitation, err = certs.ParseInvitation(line[0])
	s.address = s.invitation.Address()
	return err
}

func (s *server) usage() (proc.Usage, error) { return proc.UsageOf(s.process.PID()) }
func (s *server) kill()                      { s.process.Kill() }
func (s *server) stop()                      { s.process.Stop() }

// leases reads the server's log until count nodes have a lease. It returns the public address of each, how
// often nodes connected, and when each lease was granted.
func (s *server) leases(ctx context.Context, count int) (public map[string]string, connected int, times []time.Time, err error) {
	public = map[string]string{}
	for len(public) < count {
		match, err := s.process.Wait(ctx, logLine)
		if err != nil {
			return public, connected, times, err
		}
		what, node, address := match[1], match[2], match[3]
		if what != "lease" {
			connected++
			continue
		}
		if public[node] == "" {
			times = append(times, time.Now())
		}
		public[node] = address
	}
	return public, connected, times, nil
}
