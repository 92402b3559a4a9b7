package settings

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"apquic/internal/notices"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
	"apquic/internal/settings/internal/logins"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/rules"
)

// Server is the settings of apquic-server. Each one's row says what it means.
type Server struct {
	Listen       string
	Range        lease.PortRange
	PublicHost   string // empty: the server finds one
	PublicListen string // empty: all addresses
	HTTP, HTTPS  string // addresses; empty: domains have no such port
	Termination
	ProxyProtocolFrom          []netip.Prefix
	Groups                     map[string][]string // by name, the names or ids of the nodes that may offer them
	Rules                      rules.Rules         // for single nodes; see Limits for the others
	Countries                  string              // a file; empty: countries are not known
	AccessLog, AccessLogFormat string              // a file, or -; empty: none. And json or combined
	Logins                     logins.ByName       // what visitors must show, where the server ends HTTP
	DataDir                    string
	Open                       bool
	Silent                     bool
	LeaseTime                  time.Duration
	MaxServices                int
	MaxLeasesPerAddress        int
	MaxClients                 int
	MaxClientsPerAddress       int
	Memory                     Size // 0: a share of the machine's
	Park                       time.Duration
	FlowIdle                   time.Duration
	IdleTimeout                time.Duration
	ResumeTime                 time.Duration
	Drain                      time.Duration
	NetID                      uint32
	IPv4, IPv6                 bool
	LogLevel, LogFormat        string
	DebugAddress               string // empty: none
	Notices                    []notices.Notice

	Admin
	Carrier
	quicproxy.Visitors
}

func (s *Server) rows() rows {
	return slices.Concat(s.reachRows(), s.Termination.rows(), s.limitRows(), s.visitorRows(), s.runRows(), s.Admin.rows())
}

// reachRows are the settings that say where the server is, and who may use it.
func (s *Server) reachRows() rows {
	return rows{
		{
			key: "listen", setting: textVar(&s.Listen, ":8090", checkListen),
			want: `an address and a UDP port for nodes, such as ":8090"`,
			help: "UDP `ADDRESS` that nodes connect to",
			docs: ", such as `\"203.0.113.5:8090\"`. Without the IP address: all addresses of the machine. Port 0: any.",
		}, {
			key: "range", setting: portsVar(&s.Range, "20000-22000"),
			help: "public TCP `PORTS` to lease: a-b, or several with commas",
			docs: "Both ends are included: `\"20000-20010,30000\"` is twelve ports. Ports that nobody ever had are leased first, lowest first, then those given up longest ago.",
		}, {
			key: "publicHost", setting: hostVar(&s.PublicHost), unset: "the machine's first public address",
			want: `the name or IP address under which the public reaches the server, such as "tunnel.example.com"`,
			help: "`HOST` under which the public reaches this machine",
			docs: ": a name or an IP address. It appears in invitations and in the public addresses that nodes print.",
		}, {
			key: "publicListen", setting: textVar(&s.PublicListen, "", address.CheckPublicListen), unset: "all addresses of the machine",
			want: `an IP address of this machine, such as "203.0.113.5"`,
			help: "IP `ADDRESS` of this machine on which to open the leased ports",
			docs: ", for instance `\"127.0.0.1\"` behind a proxy.",
		}, {
			key: "https", setting: textVar(&s.HTTPS, "", checkShared), unset: "none",
			want: `an address and a TCP port, such as ":443"`,
			help: "TCP `ADDRESS` to which clients of domains come with TLS, such as :443",
			docs: ", such as `\"203.0.113.5:443\"`. Nodes may then have [domains](#domains) instead of ports. A connection goes to the node with the domain that it asks for (SNI); the server does not read it.",
		}, {
			key: "http", setting: textVar(&s.HTTP, "", checkShared), unset: "none",
			want: `an address and a TCP port, such as ":80"`,
			help: "TCP `ADDRESS` to which clients of domains come without TLS, such as :80",
			docs: ", such as `\":80\"`. They are sent to https, unless the service says otherwise (`http`) or `https` is unset.",
		},
		{
			key: "proxyProtocolFrom", setting: networks().bind(&s.ProxyProtocolFrom), unset: "none",
			help: "`NETWORKS` of load balancers in front of the leased ports, with commas",
			docs: "Each connection from there must begin with a header of the PROXY protocol, version 1 or 2, within 3 s, and the client is whoever that names; otherwise it is reset. From everywhere else such a header is a client's own bytes. A balancer that only checks whether a port is open is welcome.",
		},
		{
			key: "groups", flag: "group", live: true, setting: groupsVar(&s.Groups), unset: "none",
			help: "`GROUP` of nodes that may offer one service together, such as photos=garage,attic; may be repeated",
			docs: "In a file: for each group a list of names or ids of nodes, such as `{\"photos\": [\"garage\", \"attic\"]}`. A name counts only if you gave it: it is in `authorized_nodes`. New clients go to the node with the fewest among those that are connected and healthy. See [howto/groups.md](howto/groups.md).",
		},
		{
			key: "rules", live: true, setting: rulesVar(&s.Rules), unset: "none",
			help: "what some nodes may have, where that differs from what all may: `JSON` as in a file",
			docs: "A list; see [Rules](#rules).",
		},
		dataDirRow(&s.DataDir, "`DIRECTORY` for the key, the leases and authorized_nodes"),
		{
			key: "open", setting: boolVar(&s.Open, false),
			help: "lease ports to every node, with or without an invitation",
			docs: "Otherwise only to the nodes in `authorized_nodes` and to [invited ones](#who-may-use-the-server). A line that denies a node still applies.",
		}, {
			key: "silent", setting: boolVar(&s.Silent, true),
			help: "answer only nodes that know the server's id; off for debugging",
			docs: "The id is in the invitation, so a network scan finds no server. `--silent=false` is for programs that cannot knock ([protocol.md](protocol.md#27-knocks)).",
		},
	}
}

// limitRows say what nodes and clients may have.
func (s *Server) limitRows() rows {
	return rows{
		{
			key: "leaseTime", live: true, setting: durationVar(&s.LeaseTime, 180*time.Minute, time.Second, longest),
			help: "how long to keep a port for a node that is away",
			docs: "The port stays open meanwhile. After that, a port of a node in `authorized_nodes` is closed but stays the node's until a new service finds no other port. With `--open` it is free.",
		}, {
			key: "maxServices", live: true, setting: numberVar(&s.MaxServices, 16, 1, 65535),
			help: "how many ports a node may have",
		}, {
			key: "maxLeasesPerAddress", live: true, setting: numberVar(&s.MaxLeasesPerAddress, 64, 1, million),
			help: "with --open: how many ports the nodes of one address may have together",
			docs: ", or those of one /48 in IPv6. Nodes in `authorized_nodes` do not count.",
		}, {
			key: "maxClients", live: true, setting: numberVar(&s.MaxClients, 4096, 1, million),
			help: "how many public connections a service may have at once",
			docs: "A node may have twice as many over all its services; neither ever has more than half of the files that the server may open. " +
				"At the limit, the longest idle connection of the address with the most connections is reset to make room for a client from another address; if none can make room, the new one is reset.",
		}, {
			key: "maxClientsPerAddress", live: true, setting: numberVar(&s.MaxClientsPerAddress, 1024, 1, million),
			help: "how many of these may come from one client address",
			docs: ", or one /64 in IPv6; twice as many from a /56, four times as many from a /48 or an IPv4 /24. " + "Over all services, an address may use a quarter of the files that the server may open, and a network half. An address may connect 512 times a second after a burst of 16384; a network in proportion.",
		}, {
			key: "memory", setting: memoryVar(&s.Memory), unset: "an eighth of the machine's",
			help: "memory for nodes and clients that stop reading: a `SIZE` such as 256MB",
			docs: "The program may grow by this much to hold bytes that a node has not acked or a client does not read. " + "While the budget is used up, the server stops reading from clients above their share, and the node furthest above its share loses the relay that has held the most bytes for longest. " +
				memoryDocs,
		},
	}
}

// runRows say how the program runs, above all how long it waits for whom.
func (s *Server) runRows() rows {
	return rows{
		{
			key: "park", live: true, setting: durationVar(&s.Park, 10*time.Second, 0, time.Hour),
			help: "how long public connections wait for a node that is away",
			docs: ", or that has left data unacknowledged for 3 s. After that they are reset. 0: at once.",
		}, {
			key: "flowIdle", live: true, setting: durationVar(&s.FlowIdle, time.Minute, 5*time.Second, time.Hour),
			help: "how long a client of a UDP service may be silent before it counts as gone",
			docs: "If it comes back, the service sees it come from another port of its machine.",
		}, {
			key: "idleTimeout", setting: durationVar(&s.IdleTimeout, 90*time.Second, 5*time.Second, 24*time.Hour),
			help: "how long a node may be silent before it counts as away",
		}, {
			key: "resumeTime", setting: durationVar(&s.ResumeTime, 5*time.Minute, 0, 24*time.Hour),
			help: "how long running connections wait for their node to come back; 0: not at all",
			docs: "They resume on the node's next connection.",
		},
		drainRow(&s.Drain),
		{
			key: "netId", setting: numberVar(&s.NetID, 0, 0, anyNumber), want: wantNetID,
			help: "`NUMBER` of the network; nodes must have the same",
			docs: "Others are refused.",
		}, {
			key: "ipv4", setting: boolVar(&s.IPv4, true), help: "listen on IPv4", docs: ", for nodes and for the public.",
		}, {
			key: "ipv6", setting: boolVar(&s.IPv6, true), help: "listen on IPv6", docs: ", for nodes and for the public.",
		},
		logLevelRow(&s.LogLevel), logFormatRow(&s.LogFormat), debugAddressRow(&s.DebugAddress), noticesRow(&s.Notices),
		accessLogRow(&s.AccessLog), accessLogFormatRow(&s.AccessLogFormat),
	}
}

// DefaultServer returns the settings of a server without file and flags.
func DefaultServer() (s Server) {
	s.rows().reset()
	s.DataDir = DefaultDataDir("apquic-server")
	return s
}

// LoadServer reads the file at path on top of into. All mistakes in it are reported at once, as [Errors], and
// into is then unchanged.
func LoadServer(path string, into *Server) error { return load(path, into, ParseServer) }

// ParseServer is LoadServer for the content of a file called name.
func ParseServer(name string, data []byte, into *Server) error {
	return parse(name, data, into, func(s *Server) jsonc.Form { return s.rows().form() }, carrierServer)
}

// AddFlags declares a flag for each setting, with s's value as the default.
func (s *Server) AddFlags(flags *pflag.FlagSet) { s.rows().addFlags(flags) }

// Describe says what the settings are, one per line, with the defaults marked and without secrets.
func (s Server) Describe() string {
	standard := DefaultServer()
	return table(append(s.rows().lines(), s.Carrier.lines()...), append(standard.rows().lines(), standard.Carrier.lines()...))
}

// Validate checks the settings as a whole, after the flags were applied, and returns all mistakes as
// [Errors].
func (s Server) Validate() error { return s.faults().errors() }

func (s Server) faults() faults {
	all := slices.Concat(s.rows().faults(), s.visitorFaults())
	all.add(address.CheckFamilies(s.IPv4, s.IPv6), "ipv4", "ipv6")
	listenHost, _, _ := net.SplitHostPort(s.Listen)
	all.add(address.CheckReachable(listenHost, s.IPv4, s.IPv6), "listen", address.OffFamily(s.IPv4))
	all.add(address.CheckReachable(s.PublicListen, s.IPv4, s.IPv6), "publicListen", address.OffFamily(s.IPv4))
	all.add(s.Admin.fault(), "admin")
	if key, err := s.Termination.fault(s.HTTPS); err != nil {
		all.add(err, key, "https")
	}
	return all
}
