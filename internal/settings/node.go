package settings

import (
	"errors"
	"time"

	"github.com/spf13/pflag"

	"apquic/certs"
	"apquic/internal/hint"
	"apquic/internal/notices"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
)

// Node is the settings of apquic-node. Each one's row says what it means.
type Node struct {
	Server                     certs.Invitation
	Services                   []Service
	Name                       string // empty: none
	DataDir                    string
	Keepalive                  time.Duration // or AutoKeepalive
	Memory                     Size          // 0: a share of the machine's
	IdleTimeout                time.Duration
	ResumeTime                 time.Duration
	Drain                      time.Duration
	NetID                      uint32
	IPv4, IPv6                 bool
	ACMEDirectory              string // empty: Let's Encrypt
	LogLevel, LogFormat        string
	AccessLog, AccessLogFormat string // a file, or -; empty: none. And json or combined
	DebugAddress               string // empty: none
	Notices                    []notices.Notice

	Admin
	Carrier
}

func (n *Node) rows() rows {
	return append(rows{
		{
			key: "server", setting: invitationVar(&n.Server), unset: "the server that was joined",
			want: `the line that apquic-server prints, "apquic://SERVERID@HOST:PORT#SECRET"`,
			help: "the server's `INVITATION`, apquic://SERVERID@HOST:PORT#SECRET",
			docs: "SERVERID is the key that the server must prove. `#SECRET` is not sent to a server that knows the node and may then be left out. An IPv6 address needs brackets. See [Joining](#joining).",
		}, {
			key: "services", flag: "upstream", live: true, setting: servicesVar(&n.Services), unset: "none",
			want: `names and addresses such as {"web": "127.0.0.1:80"}`,
			help: "`SERVICE` to make reachable: a port of this machine, host:port, https://host, unix:/path or file:/folder, with name= before it; may be repeated",
			docs: "At least one is needed. In a file: a name for each, and its address or an object ([below](#services)). A name has 1 to 64 of `a-z 0-9 . _ -` and begins with a letter or digit. The server knows a service by its name; a renamed service with the same address keeps its port.",
		},
		{
			key: "name", setting: textVar(&n.Name, "", address.CheckNodeName), unset: "none",
			want: `a name such as "garage"`,
			help: "what the server should call this node: a `NAME` such as garage",
			docs: "1 to 64 letters, digits and `. _ -`. Other nodes connect to this one's private services by it ([below](#private-services)). A server that knows the node calls it so if nobody has chosen a name for it there, and no other node has this one; from then on it is this node's. The operator of the server can change it.",
		},
		dataDirRow(&n.DataDir, "`DIRECTORY` for the node's key and what it knows about its server"),
		{
			key: "keepalive", setting: keepaliveVar(&n.Keepalive, 15*time.Second),
			help: "how often to check that the server answers; auto: as rarely as this network allows",
			docs: "It must be shorter than `idleTimeout`. [More on `\"auto\"`](#keepalive-auto).",
		}, {
			key: "memory", setting: memoryVar(&n.Memory), unset: "an eighth of the machine's, at least 64MiB",
			help: "memory for services and clients that stop reading: a `SIZE` such as 256MB",
			docs: "The program may grow by this much to hold bytes that the server has not acked or a service does not read. " + "While the budget is used up, the node stops reading from services for clients above their share, and the client address furthest above its share loses the relay that has held the most bytes for longest. " +
				memoryDocs,
		}, {
			key: "idleTimeout", setting: durationVar(&n.IdleTimeout, 90*time.Second, 5*time.Second, 24*time.Hour),
			help: "how long the server may be silent before the node gives up the connection",
		}, {
			key: "resumeTime", setting: durationVar(&n.ResumeTime, 5*time.Minute, 0, 24*time.Hour),
			help: "how long running connections wait for the node to reconnect; 0: not at all",
			docs: "They resume on the new connection, so an outage shorter than this plus `idleTimeout` loses nothing.",
		},
		drainRow(&n.Drain),
		{
			key: "netId", setting: numberVar(&n.NetID, 0, 0, anyNumber), want: wantNetID,
			help: "`NUMBER` of the network; the server must have the same",
		}, {
			key: "ipv4", setting: boolVar(&n.IPv4, true), help: "reach the server over IPv4",
		}, {
			key: "ipv6", setting: boolVar(&n.IPv6, true), help: "reach the server over IPv6",
		},
		{
			key: "acmeDirectory", setting: textVar(&n.ACMEDirectory, "", address.CheckURL), unset: "Let's Encrypt",
			want: `a URL such as "https://acme-v02.api.letsencrypt.org/directory"`,
			help: "`URL` of the authority that gives certificates for domains (ACME)",
			docs: "Only for services with `\"tls\": \"node\"`, whose use accepts the authority's terms.",
		},
		logLevelRow(&n.LogLevel), logFormatRow(&n.LogFormat), debugAddressRow(&n.DebugAddress), noticesRow(&n.Notices),
		accessLogRow(&n.AccessLog), accessLogFormatRow(&n.AccessLogFormat),
	}, n.Admin.rows()...)
}

// DefaultNode returns the settings of a node without file and flags. They lack a server and services.
func DefaultNode() (n Node) {
	n.rows().reset()
	n.DataDir = DefaultDataDir("apquic-node")
	return n
}

// LoadNode is LoadServer for a node's file.
func LoadNode(path string, into *Node) error { return load(path, into, ParseNode) }

// ParseNode is LoadNode for the content of a file called name.
func ParseNode(name string, data []byte, into *Node) error {
	return parse(name, data, into, func(n *Node) jsonc.Form { return n.rows().form() }, carrierNode)
}

// AddFlags declares a flag for each setting, with n's value as the default.
func (n *Node) AddFlags(flags *pflag.FlagSet) { n.rows().addFlags(flags) }

// Describe says what the settings are, one per line, with the defaults marked and without secrets.
func (n Node) Describe() string {
	standard := DefaultNode()
	return table(append(n.rows().lines(), n.Carrier.lines()...), append(standard.rows().lines(), standard.Carrier.lines()...))
}

// Validate checks the settings as a whole, after the flags were applied, and returns all mistakes as
// [Errors].
func (n Node) Validate() error {
	all := n.joinFaults()
	if len(n.Services) == 0 {
		all.add(hint.Add(errors.New("there is no service to make public"),
			"give the address of one, such as 127.0.0.1:80, with --upstream or in services in the file"), "services")
	}
	return all.errors()
}

// ValidateJoin is Validate for a node that joins a server and may have no service yet.
func (n Node) ValidateJoin() error { return n.joinFaults().errors() }

// joinFaults adds what may be missing in a file because it can be given otherwise.
func (n Node) joinFaults() faults {
	all := n.faults()
	if n.Server.Server.IsZero() {
		all.add(hint.Add(errors.New("there is no server to connect to"),
			"join one with apquic-node join INVITATION, or give the invitation with --server or as server in the file"), "server")
	}
	return all
}

func (n Node) faults() faults {
	all := n.rows().faults()
	all.add(address.CheckFamilies(n.IPv4, n.IPv6), "ipv4", "ipv6")
	all.add(address.CheckReachable(n.Server.Host, n.IPv4, n.IPv6), "server", address.OffFamily(n.IPv4))
	all.add(checkKeepalive(n.Keepalive, n.IdleTimeout), "keepalive", "idleTimeout")
	all.add(n.Admin.fault(), "admin")
	all.services(n.Services)
	return all
}
