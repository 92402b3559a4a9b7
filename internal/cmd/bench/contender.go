package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"apquic/internal/cmd/bench/proc"
)

// contender is a way to make a service public.
type contender struct {
	name    string
	version string
	// start starts the programs and returns the public address. It need not be ready then.
	start func(ctx context.Context, s *site) (public string, err error)
	// offers says how it can make a service public; nil: at a TCP port.
	offers func(exposure) bool
}

// can reports whether a contender can make a service public in a way.
func (c contender) can(e exposure) bool {
	if c.offers == nil {
		return e == exposure{}
	}
	return c.offers(e)
}

func everything(exposure) bool { return true }

// exposure is how a service is made public; the zero value is a TCP port.
type exposure struct {
	udp   bool
	host  string // by this name, on a port for web sites
	limit int64  // bytes per second in each direction; 0: without a limit
	proxy bool   // with a header of the PROXY protocol, version 2, for each connection
}

// site is where a contender is started.
type site struct {
	*network
	exposes  exposure
	service  string // the address of the service, as the home sees it
	folder   string // for files
	ports    *ports
	programs proc.Group // the contender's programs; stopped by the trial
	pids     []int      // theirs: the server's, then the node's
}

// finders return the contenders whose programs are in a folder.
var finders = []func(peers string) ([]contender, error){findFrp, findChisel, findRathole, findBore}

// contenders are the baseline, apquic from bin, and the peers whose programs are in the folder peers.
func contenders(bin, before, peers string) ([]contender, error) {
	own, err := findApquic(bin, ownName)
	if err != nil {
		return nil, err
	}
	all := []contender{direct, own}
	if before != "" {
		older, err := findApquic(before, ownName+" before")
		if err != nil {
			return nil, err
		}
		all = append(all, older)
	}
	if peers == "" {
		return all, nil
	}
	if _, err := os.Stat(peers); err != nil {
		return nil, fmt.Errorf("looking for peers: %w", err)
	}
	for _, find := range finders {
		found, err := find(peers)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// direct has no tunnel: what the machine and the network allow.
var direct = contender{name: directName, offers: func(e exposure) bool { return !e.proxy && e.limit == 0 }, start: func(_ context.Context, s *site) (string, error) {
	if s.forward != nil {
		return s.forward(s.service)
	}
	return s.service, nil
}}

const directName = "direct"

// lookup returns the path of a program, or "" when it is not there.
func lookup(folder, name string) (string, error) {
	path, err := filepath.Abs(filepath.Join(folder, name))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return path, nil
}

// versionNumber matches after the program's name, after the word version, or alone.
var versionNumber = regexp.MustCompile(`(?m)(?:^|^\S+ +|[Vv]ersion:? +)v?(\d+\.\d+[\w.+-]*|[0-9a-f]{7,}(?:-dirty)?)$`)

// versionOf asks a program for its version.
func versionOf(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", path, err)
	}
	return parseVersion(string(out)), nil
}

func parseVersion(text string) string {
	if match := versionNumber.FindStringSubmatch(text); match != nil {
		return match[1]
	}
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// run starts a program of the contender and, unless pattern is nil, waits until it prints a line that
// matches.
func (s *site) run(ctx context.Context, place proc.Place, pattern *regexp.Regexp, argv ...string) ([]string, error) {
	p, err := s.programs.Start(place, s.folder, argv...)
	if err != nil {
		return nil, err
	}
	s.pids = append(s.pids, p.PID())
	if pattern == nil {
		return nil, nil
	}
	return p.Wait(ctx, pattern)
}

// write creates a file in the contender's folder, and returns its path.
func (s *site) write(name, content string) (string, error) {
	path := filepath.Join(s.folder, name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// twoPorts are one for nodes and one for the public.
func (s *site) twoPorts() (nodes, public int, err error) {
	if nodes, err = s.ports.free(); err != nil {
		return 0, 0, err
	}
	public, err = s.ports.free()
	return nodes, public, err
}

// at is an address of the server.
func (s *site) at(port int) string { return net.JoinHostPort(s.host, strconv.Itoa(port)) }

// servicePort is the port of the service, which is on the home's own loopback interface.
func (s *site) servicePort() (int, error) {
	_, port, err := net.SplitHostPort(s.service)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
