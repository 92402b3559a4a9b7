// Package config is what the two programs can be told: the settings with their
// defaults, the files they come from, and the texts of the mistakes in them.
//
// Files are JSON with comments and trailing commas, in our own plain form or in
// that of Elastos Carrier; docs/config.md describes both. The loader is strict:
// it reports all mistakes of a file at once, each with its place.
//
// The package reads no file but the one it is given, and no environment; flags
// are bound to the plain fields of the structs by the commands.
package config

import (
	"os"
	"path/filepath"
	"runtime"
	"time"

	"apquic/certs"
	"apquic/lease"
)

// Server is the settings of apquic-server.
type Server struct {
	Listen               string          // UDP host:port for nodes; port 0: any
	Range                lease.PortRange // public TCP ports to lend
	PublicHost           string          // name or IP address in public addresses; empty: the server finds one
	PublicListen         string          // IP address of this machine at which ports are opened; empty: all
	DataDir              string
	Key                  certs.PrivateKey // zero: the key file in DataDir
	LeaseTime            time.Duration    // how long a port is kept for a node that is away
	MaxServices          int              // of a node
	MaxLeasesPerAddress  int              // of nodes that nobody knows, on an open server
	MaxClients           int              // of a service, at once
	MaxClientsPerAddress int              // of those, from one address
	Memory               Size             // that readers may cost that do not read; 0: an eighth of the machine's
	Open                 bool             // any node may have ports
	Silent               bool             // who does not know the server's id gets no answer
	IPv4, IPv6           bool             // families that are listened on
	IdleTimeout          time.Duration    // a node that is silent for so long is away
	ResumeTime           time.Duration    // how long relays outlive their connection; 0: not at all
	Park                 time.Duration    // how long public connections wait for a node; 0: not at all
	Drain                time.Duration    // how long relays may go on after a signal; 0: not at all
	NetID                uint32           // nodes must have the same
	LogLevel             string           // debug, info, warn, error
	LogFormat            string           // text, json
	DebugAddress         string           // ip:port of a loopback interface for profiles; empty: none

	Bootstraps    []Bootstrap // kept for discovery, not used yet
	DiscoveryPort uint16      // the same; 0: none
}

// Node is the settings of apquic-node.
type Node struct {
	Server       certs.Invitation
	Services     []Service
	DataDir      string
	Key          certs.PrivateKey // zero: the key file in DataDir
	IPv4, IPv6   bool             // families that are dialled
	Keepalive    time.Duration    // between two keepalives, or AutoKeepalive
	IdleTimeout  time.Duration    // a server that is silent for so long is gone
	ResumeTime   time.Duration    // how long relays outlive their connection; 0: not at all
	Memory       Size             // that services may cost that do not read; 0: an eighth of the machine's
	Drain        time.Duration    // how long relays may go on after a signal; 0: not at all
	NetID        uint32           // the server must have the same
	LogLevel     string           // debug, info, warn, error
	LogFormat    string           // text, json
	DebugAddress string           // ip:port of a loopback interface for profiles; empty: none

	Bootstraps    []Bootstrap // kept for discovery, not used yet
	DiscoveryPort uint16      // the same; 0: none
}

// Service is something that a node makes public.
type Service struct {
	Name       string // see framing.CheckServiceName
	Upstream   string // origin URI: tcp://host:port or unix:/path
	PublicPort uint16 // wanted; 0: any
}

// Bootstrap is a node of a discovery network.
type Bootstrap struct {
	ID      certs.NodeID
	Address string // name or IP address
	Port    uint16 // UDP
}

// DefaultServer returns the settings of a server without file and flags.
func DefaultServer() Server {
	ports, err := lease.ParsePortRange("20000-22000")
	if err != nil {
		panic(err) // a constant
	}
	return Server{
		Listen:               ":8090",
		Range:                ports,
		DataDir:              DefaultDataDir("apquic-server"),
		LeaseTime:            180 * time.Minute,
		MaxServices:          16,
		MaxLeasesPerAddress:  64,
		MaxClients:           4096,
		MaxClientsPerAddress: 1024,
		Silent:               true,
		IPv4:                 true,
		IPv6:                 true,
		IdleTimeout:          90 * time.Second,
		Park:                 10 * time.Second,
		ResumeTime:           5 * time.Minute,
		Drain:                10 * time.Second,
		LogLevel:             "info",
		LogFormat:            "text",
	}
}

// DefaultNode returns the settings of a node without file and flags. It lacks a server and services.
func DefaultNode() Node {
	return Node{
		DataDir:     DefaultDataDir("apquic-node"),
		IPv4:        true,
		IPv6:        true,
		Keepalive:   15 * time.Second,
		IdleTimeout: 90 * time.Second,
		ResumeTime:  5 * time.Minute,
		Drain:       10 * time.Second,
		LogLevel:    "info",
		LogFormat:   "text",
	}
}

// DefaultDataDir is where a program keeps its files: /var/lib/program for root
// on Unix, else program in the user's configuration directory. It is empty for a
// user without a home, which [Server.Validate] and [Node.Validate] report.
func DefaultDataDir(program string) string {
	if runtime.GOOS != "windows" && os.Geteuid() == 0 {
		return filepath.Join("/var/lib", program)
	}
	home, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, program)
}

// LoadServer reads the file at path over what into has. All mistakes in it are
// reported at once, as [Errors]; into is unchanged then.
func LoadServer(path string, into *Server) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	return ParseServer(path, data, into)
}

// LoadNode is LoadServer for a node's file.
func LoadNode(path string, into *Node) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	return ParseNode(path, data, into)
}

// ParseServer is LoadServer for the content of a file called name.
func ParseServer(name string, data []byte, into *Server) error {
	return parse(name, data, into, plainServer, carrierServer)
}

// ParseNode is LoadNode for the content of a file called name.
func ParseNode(name string, data []byte, into *Node) error {
	return parse(name, data, into, plainNode, carrierNode)
}

// parse decodes a file in one of two forms.
func parse[T interface{ faults() faults }](name string, data []byte, into *T, plain, carrier func(*T) form) error {
	root, err := parseDocument(name, data)
	if err != nil {
		return err
	}
	if root.isForeign() {
		root.report(errForeign)
		return root.errors
	}
	settings := *into
	chosen := plain(&settings)
	if other := carrier(&settings); root.isCarrier(chosen, other) {
		chosen = other
	}
	root.apply(field{want: "{...} around all settings", set: func(v value) error { return v.decode(chosen) }})
	for _, fault := range settings.faults() {
		root.reportFault(fault)
	}
	if err := root.errors.orNil(); err != nil {
		return err
	}
	*into = settings
	return nil
}
