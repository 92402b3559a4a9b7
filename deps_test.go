// Package apquic_test keeps docs/architecture.md true: which package may import which, and what the library
// and the node must not link.
package apquic_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed lists the packages of this module that each of its packages may import, layer by layer from the
// bottom up: every listed package has its own line further up.
var allowed = map[string][]string{
	"internal/hint": nil,
	"framing":       nil,
	"certs":         {"internal/hint"},

	"internal/suggest":         nil,
	"internal/size":            {"internal/hint"},
	"internal/files":           nil,
	"internal/cli":             {"internal/files", "internal/hint", "internal/suggest"},
	"internal/datagram":        nil,
	"internal/debug":           {"internal/cli"},
	"internal/events":          {"internal/hint"},
	"internal/notices":         {"internal/events", "internal/hint", "internal/suggest"},
	"internal/control":         {"certs", "internal/hint"},
	"internal/heap":            nil,
	"internal/machine":         nil,
	"internal/netmon":          nil,
	"internal/systemd":         nil,
	"internal/testnet":         nil,
	"internal/testrace":        nil,
	"internal/udp":             nil,
	"internal/domain":          nil,
	"internal/watchfile":       {"internal/hint"},
	"internal/table":           {"internal/hint"},
	"internal/watch":           {"internal/table"},
	"internal/countries":       {"internal/hint", "internal/watchfile"},
	"internal/publicsuffix":    nil,
	"lease/internal/portrange": nil,
	"lease":                    {"certs", "internal/domain", "lease/internal/portrange"},
	"lease/leasetest":          {"certs", "lease"},
	"rules":                    {"certs", "internal/domain", "internal/size", "lease"},
	"internal/password":        {"internal/hint"},
	"internal/joint":           nil,

	"quicproxy":      {"framing"},
	"quicproxy/live": {"certs"},

	"quicproxy/internal/buffer":      nil,
	"quicproxy/internal/initial":     nil,
	"quicproxy/internal/keepalive":   nil,
	"quicproxy/internal/loglimit":    nil,
	"quicproxy/internal/netaddr":     nil,
	"quicproxy/internal/path":        nil,
	"quicproxy/internal/quicconfig":  nil,
	"quicproxy/internal/wait":        nil,
	"quicproxy/internal/clients":     {"quicproxy/internal/netaddr", "quicproxy/live"},
	"quicproxy/internal/flowlimit":   {"quicproxy/internal/clients", "quicproxy/internal/netaddr", "quicproxy/live"},
	"quicproxy/internal/knock":       {"certs", "framing", "internal/udp", "quicproxy/internal/initial", "quicproxy/internal/netaddr"},
	"quicproxy/internal/limit":       {"quicproxy/internal/netaddr"},
	"quicproxy/internal/memory":      {"quicproxy/internal/netaddr"},
	"quicproxy/internal/pace":        nil,
	"quicproxy/internal/ruling":      {"quicproxy"},
	"quicproxy/internal/visitors":    {"framing", "quicproxy", "quicproxy/internal/clients", "quicproxy/internal/limit", "quicproxy/internal/pace", "quicproxy/internal/ruling"},
	"quicproxy/internal/quicstream":  {"framing"},
	"quicproxy/internal/conn":        {"certs", "framing", "internal/hint", "quicproxy", "quicproxy/internal/quicstream", "quicproxy/internal/wait"},
	"quicproxy/internal/stripes":     {"quicproxy/internal/buffer"},
	"quicproxy/internal/association": {"framing", "quicproxy/internal/quicstream", "quicproxy/internal/wait"},
	"quicproxy/internal/bytestream":  {"framing", "quicproxy/internal/association", "quicproxy/internal/buffer", "quicproxy/internal/quicstream", "quicproxy/internal/stripes", "quicproxy/internal/wait"},
	"quicproxy/internal/tlsconn":     nil,
	"quicproxy/internal/streamconn":  {"framing", "quicproxy/internal/bytestream", "quicproxy/internal/memory"},
	"quicproxy/internal/relay":       {"framing", "quicproxy/internal/buffer", "quicproxy/internal/bytestream", "quicproxy/internal/clients", "quicproxy/internal/memory", "quicproxy/internal/pace"},
	"quicproxy/internal/flow":        {"framing", "quicproxy/internal/memory", "quicproxy/internal/quicstream"},
	"quicproxy/internal/carrier":     {"framing", "quicproxy/internal/association", "quicproxy/internal/buffer", "quicproxy/internal/bytestream", "quicproxy/internal/conn", "quicproxy/internal/flow", "quicproxy/internal/limit", "quicproxy/internal/memory", "quicproxy/internal/path", "quicproxy/internal/quicconfig", "quicproxy/internal/quicstream", "quicproxy/internal/relay", "quicproxy/internal/wait", "quicproxy/live"},
	"quicproxy/internal/histogram":   {"quicproxy/live"},
	"quicproxy/internal/inspect":     {"quicproxy/internal/association", "quicproxy/internal/carrier", "quicproxy/internal/clients", "quicproxy/internal/flow", "quicproxy/internal/keepalive", "quicproxy/internal/limit"},

	"internal/settings/internal/address":  {"certs", "framing", "internal/domain", "internal/hint"},
	"internal/settings/internal/jsonc":    {"internal/hint", "internal/suggest"},
	"internal/settings/internal/logins":   {"internal/domain", "internal/password", "internal/settings/internal/address", "internal/settings/internal/jsonc"},
	"internal/settings/internal/notice":   {"internal/notices", "internal/settings/internal/jsonc"},
	"internal/settings/internal/file":     {"internal/hint", "internal/settings/internal/jsonc"},
	"internal/settings/internal/foreign":  {"internal/hint", "internal/settings/internal/jsonc"},
	"internal/settings/internal/changes":  nil,
	"internal/settings/internal/interval": {"internal/hint", "internal/settings/internal/jsonc"},
	"internal/settings/internal/ruleset":  {"certs", "internal/domain", "internal/settings/internal/jsonc", "internal/size", "lease", "rules"},
	"internal/settings/limits":            {"certs", "internal/hint", "internal/settings/internal/jsonc", "internal/settings/internal/ruleset", "rules"},
	"internal/settings":                   {"certs", "framing", "internal/control", "internal/debug", "internal/domain", "internal/hint", "internal/publicsuffix", "internal/settings/internal/address", "internal/settings/internal/changes", "internal/settings/internal/file", "internal/settings/internal/foreign", "internal/settings/internal/interval", "internal/settings/internal/jsonc", "internal/settings/internal/logins", "internal/settings/internal/ruleset", "internal/size", "internal/suggest", "lease", "quicproxy", "rules", "internal/notices", "internal/settings/internal/notice"},

	"quicproxy/admission":                   {"certs", "internal/files", "quicproxy/internal/limit"},
	"quicproxy/server/internal/account":     {"certs", "framing", "quicproxy/internal/limit", "quicproxy/internal/memory"},
	"quicproxy/server/internal/peers":       {"certs", "quicproxy/internal/wait", "quicproxy/server/internal/naming"},
	"quicproxy/server/internal/probes":      {"quicproxy/internal/netaddr", "quicproxy/internal/path"},
	"quicproxy/server/internal/handshakes":  {"quicproxy/internal/limit", "quicproxy/internal/netaddr"},
	"quicproxy/server/internal/strangers":   {"certs", "framing", "internal/udp", "quicproxy", "quicproxy/internal/conn", "quicproxy/internal/initial", "quicproxy/internal/knock", "quicproxy/internal/netaddr", "quicproxy/internal/quicconfig", "quicproxy/internal/wait", "quicproxy/server/internal/handshakes"},
	"quicproxy/server/internal/vhost":       nil,
	"quicproxy/server/internal/termination": nil,
	"quicproxy/server/internal/balancer":    {"quicproxy/internal/netaddr"},
	"quicproxy/server/internal/members":     {"certs"},
	"quicproxy/server/internal/public":      {"certs", "framing", "internal/datagram", "internal/domain", "internal/hint", "lease", "quicproxy", "quicproxy/internal/clients", "quicproxy/internal/flow", "quicproxy/internal/flowlimit", "quicproxy/internal/memory", "quicproxy/internal/netaddr", "quicproxy/internal/pace", "quicproxy/internal/relay", "quicproxy/internal/tlsconn", "quicproxy/internal/visitors", "quicproxy/internal/wait", "quicproxy/server/internal/balancer", "quicproxy/server/internal/members", "quicproxy/server/internal/termination", "quicproxy/server/internal/vhost", "quicproxy/live", "quicproxy/server/internal/address", "quicproxy/server/internal/descriptors", "quicproxy/server/internal/doze", "quicproxy/server/internal/refusals", "quicproxy/internal/ruling", "internal/usage", "quicproxy/server/internal/accepting", "quicproxy/server/internal/numbered"},
	"quicproxy/server/internal/refusals":    nil,
	"quicproxy/server/internal/numbered":    nil,
	"quicproxy/server/internal/accepting":   {"quicproxy/server/internal/descriptors"},
	"quicproxy/server/internal/doze":        {"quicproxy/internal/relay", "quicproxy/internal/wait"},
	"quicproxy/server/internal/descriptors": {"internal/machine", "lease"},
	"quicproxy/server/internal/whereabouts": {"quicproxy/live"},
	"quicproxy/access":                      {"certs"},
	"internal/accesslog":                    {"certs", "internal/hint", "quicproxy/access"},
	"quicproxy/server/internal/begun":       {"certs", "quicproxy/access", "quicproxy/internal/relay", "quicproxy/server/internal/public"},
	"quicproxy/server/internal/address":     {"lease"},
	"quicproxy/server/internal/failure":     {"certs", "framing", "internal/hint", "lease", "quicproxy", "quicproxy/admission", "quicproxy/internal/conn"},
	"quicproxy/server/internal/canary":      {"framing", "lease", "quicproxy/internal/carrier", "quicproxy/internal/histogram", "quicproxy/internal/quicstream", "quicproxy/internal/wait", "quicproxy/live"},
	"quicproxy/server/internal/request":     {"quicproxy/internal/conn", "certs", "framing", "lease", "quicproxy", "quicproxy/internal/visitors", "quicproxy/server/internal/canary", "quicproxy/server/internal/failure", "quicproxy/server/internal/members"},
	"quicproxy/server/internal/hello":       {"framing", "quicproxy/internal/conn", "quicproxy/server/internal/failure"},
	"quicproxy/server/internal/ruled":       {"certs", "framing", "lease", "quicproxy", "quicproxy/internal/conn", "quicproxy/internal/ruling", "quicproxy/server/internal/failure", "rules", "internal/usage"},
	"quicproxy/server/internal/groups":      {"certs", "framing", "lease", "quicproxy", "quicproxy/internal/conn"},
	"quicproxy/server/internal/identity":    {"certs", "framing"},
	"quicproxy/server/internal/changes":     {"quicproxy/internal/wait"},
	"quicproxy/server/internal/naming":      {"certs"},
	"quicproxy/server/internal/audit":       {"lease", "quicproxy/admission", "quicproxy/internal/loglimit"},
	"quicproxy/server/internal/presence":    {"certs", "lease"},
	"quicproxy/server/internal/private": {
		"certs", "framing", "lease", "quicproxy", "quicproxy/admission", "quicproxy/internal/association", "quicproxy/internal/bytestream", "quicproxy/internal/carrier", "quicproxy/internal/quicstream", "quicproxy/internal/streamconn",
		"quicproxy/server/internal/account", "quicproxy/server/internal/failure", "quicproxy/server/internal/public",
	},
	"quicproxy/server/internal/tally": {"quicproxy/internal/carrier", "quicproxy/internal/flow", "quicproxy/internal/histogram", "quicproxy/internal/relay", "quicproxy/live", "quicproxy/server/internal/public"},
	"quicproxy/server/internal/stage": {},
	"quicproxy/server": {
		"quicproxy/server/internal/stage", "certs", "framing", "internal/usage", "internal/hint", "internal/machine", "internal/udp", "lease", "quicproxy", "quicproxy/admission",
		"quicproxy/internal/association", "quicproxy/internal/bytestream", "quicproxy/internal/carrier", "quicproxy/internal/clients", "quicproxy/internal/conn", "quicproxy/internal/flow", "quicproxy/internal/histogram", "quicproxy/internal/inspect", "quicproxy/internal/limit", "quicproxy/internal/loglimit",
		"quicproxy/internal/memory", "quicproxy/internal/netaddr", "quicproxy/internal/path", "quicproxy/internal/quicconfig", "quicproxy/internal/quicstream", "quicproxy/internal/relay", "quicproxy/internal/wait",
		"quicproxy/server/internal/account", "quicproxy/server/internal/audit", "quicproxy/server/internal/presence", "quicproxy/server/internal/changes", "quicproxy/server/internal/failure", "quicproxy/server/internal/naming", "quicproxy/server/internal/peers", "quicproxy/server/internal/private", "quicproxy/server/internal/probes", "quicproxy/server/internal/public", "quicproxy/server/internal/request", "quicproxy/server/internal/strangers", "quicproxy/server/internal/groups", "quicproxy/server/internal/identity", "quicproxy/server/internal/termination", "quicproxy/server/internal/address", "quicproxy/internal/visitors", "quicproxy/internal/flowlimit", "quicproxy/live", "quicproxy/server/internal/begun", "quicproxy/access", "quicproxy/server/internal/canary", "quicproxy/server/internal/descriptors", "quicproxy/server/internal/whereabouts", "quicproxy/server/internal/hello", "quicproxy/server/internal/ruled", "rules",
		"quicproxy/server/internal/account", "quicproxy/server/internal/audit", "quicproxy/server/internal/presence", "quicproxy/server/internal/changes", "quicproxy/server/internal/failure", "quicproxy/server/internal/naming", "quicproxy/server/internal/peers", "quicproxy/server/internal/private", "quicproxy/server/internal/probes", "quicproxy/server/internal/public", "quicproxy/server/internal/request", "quicproxy/server/internal/strangers", "quicproxy/server/internal/groups", "quicproxy/server/internal/identity", "quicproxy/server/internal/termination", "quicproxy/server/internal/address", "quicproxy/internal/visitors", "quicproxy/internal/flowlimit", "quicproxy/live", "quicproxy/server/internal/begun", "quicproxy/server/internal/descriptors", "quicproxy/server/internal/whereabouts", "quicproxy/server/internal/hello", "quicproxy/server/internal/ruled", "quicproxy/server/internal/tally", "rules",
	},
	"quicproxy/node/internal/flows":    {"framing", "internal/datagram", "quicproxy/internal/clients", "quicproxy/internal/flow", "quicproxy/internal/flowlimit", "quicproxy/internal/limit"},
	"quicproxy/node/internal/natprobe": {"framing", "quicproxy/internal/conn", "quicproxy/internal/keepalive", "quicproxy/internal/netaddr", "quicproxy/internal/path", "quicproxy/internal/wait", "quicproxy/node/internal/reason"},
	"quicproxy/node/internal/costs":    {"framing", "quicproxy/internal/bytestream", "quicproxy/internal/clients", "quicproxy/internal/limit", "quicproxy/internal/quicconfig", "quicproxy/internal/relay"},
	"quicproxy/node/internal/health":   {"framing", "quicproxy/internal/wait"},
	"quicproxy/node/internal/visit":    {"framing", "quicproxy/access", "quicproxy/internal/bytestream"},
	"quicproxy/node/internal/canary":   {"framing", "quicproxy/internal/quicstream", "quicproxy/node/internal/costs", "quicproxy/node/internal/upstream"},
	"quicproxy/node/internal/retry":    {"framing", "quicproxy", "quicproxy/internal/conn", "quicproxy/node/internal/reason"},
	"quicproxy/node/internal/reason":   {"certs", "framing", "internal/hint", "quicproxy", "quicproxy/internal/conn"},
	"quicproxy/node/internal/dial":     {"quicproxy/internal/conn", "quicproxy/internal/quicconfig", "quicproxy/internal/wait"},
	"quicproxy/node/internal/naming":   {"framing", "quicproxy/node/internal/reason"},
	"quicproxy/node/internal/connlog":  {"internal/hint", "quicproxy/internal/conn"},
	"quicproxy/node/internal/upstream": {"framing", "internal/hint", "quicproxy/internal/bytestream", "quicproxy/internal/limit", "quicproxy/internal/tlsconn"},
	"quicproxy/node/internal/private":  {"certs", "framing", "internal/hint", "internal/joint", "quicproxy", "quicproxy/internal/limit", "quicproxy/node/internal/upstream"},
	"quicproxy/node/internal/watch":    {"quicproxy/internal/association", "quicproxy/internal/carrier", "quicproxy/internal/path", "quicproxy/internal/wait"},
	"quicproxy/node": {
		"certs", "framing", "internal/hint", "internal/machine", "internal/netmon", "internal/udp", "quicproxy", "quicproxy/live",
		"quicproxy/internal/association", "quicproxy/internal/bytestream", "quicproxy/internal/carrier", "quicproxy/internal/clients", "quicproxy/internal/conn", "quicproxy/internal/flow", "quicproxy/internal/inspect", "quicproxy/internal/keepalive", "quicproxy/internal/knock",
		"quicproxy/internal/limit", "quicproxy/internal/loglimit", "quicproxy/internal/netaddr", "quicproxy/internal/path", "quicproxy/internal/quicconfig", "quicproxy/internal/quicstream", "quicproxy/internal/relay", "quicproxy/internal/wait",
		"quicproxy/node/internal/connlog", "quicproxy/node/internal/dial", "quicproxy/node/internal/flows", "quicproxy/node/internal/natprobe", "quicproxy/node/internal/reason", "quicproxy/node/internal/retry", "quicproxy/internal/streamconn",
		"quicproxy/node/internal/private", "quicproxy/node/internal/upstream", "quicproxy/node/internal/watch", "quicproxy/node/internal/health", "quicproxy/node/internal/canary", "quicproxy/node/internal/visit", "quicproxy/access", "quicproxy/node/internal/naming", "quicproxy/node/internal/costs", "quicproxy/internal/visitors", "quicproxy/internal/flowlimit",
	},
	"internal/boltcopy": nil,
	"lease/boltstore":   {"certs", "internal/boltcopy", "internal/hint", "lease"},

	"internal/chromium":            nil,
	"internal/dashboard":           {"internal/cli", "internal/control"},
	"internal/visits":              {"internal/hint"},
	"internal/nodeapi":             {"certs", "internal/control", "internal/events", "internal/reload", "internal/visits", "quicproxy", "quicproxy/live", "quicproxy/node"},
	"internal/monitor":             {"internal/control", "quicproxy/live"},
	"internal/monitor/monitortest": {"internal/monitor"},

	"docs":  nil,
	"admin": {"certs", "docs", "internal/cli", "internal/control", "internal/events", "internal/hint", "internal/monitor", "internal/notices", "internal/reload", "internal/settings/limits", "lease", "quicproxy", "quicproxy/server", "quicproxy/live", "rules", "internal/totals", "internal/usage"},

	"admin/stopped":     {"certs", "lease", "lease/boltstore", "quicproxy/live", "quicproxy/server", "rules"},
	"admin/show":        {"admin", "certs", "internal/cli", "internal/table", "quicproxy/live", "rules"},
	"internal/backup":   {"certs", "internal/hint"},
	"internal/usage":    {"certs", "lease"},
	"internal/totals":   {"certs", "internal/boltcopy", "internal/hint", "internal/usage", "lease"},
	"internal/peerfile": {"certs", "internal/cli", "quicproxy/server"},

	"cmd/apquic-server": {"admin", "admin/show", "certs", "certs/acme", "internal/accesslog", "internal/backup", "internal/cli", "internal/control", "internal/countries", "internal/debug", "internal/domain", "internal/events", "internal/files", "internal/guards", "internal/heap", "internal/hint", "internal/login", "internal/monitor", "internal/publicsuffix", "internal/reload", "internal/settings", "internal/systemd", "internal/table", "internal/watch", "internal/web", "lease", "lease/boltstore", "quicproxy/admission", "quicproxy/live", "quicproxy/server", "rules", "internal/notices", "admin/stopped", "internal/settings/limits", "internal/dashboard", "internal/peerfile", "internal/totals"},
	"certs/acme":        nil,
	"internal/login":    {"internal/password", "internal/watchfile"},
	"internal/web":      {"internal/domain", "internal/login", "internal/watchfile"},
	"internal/guards":   {"certs", "internal/login", "internal/settings"},
	"internal/reload":   {"internal/cli", "internal/control", "internal/hint"},
	"internal/console":  {"internal/events", "internal/hint", "internal/table", "quicproxy/live", "quicproxy/node", "internal/visits"},
	"cmd/apquic-node":   {"certs", "certs/acme", "framing", "internal/accesslog", "internal/cli", "internal/console", "internal/control", "internal/debug", "internal/domain", "internal/events", "internal/files", "internal/guards", "internal/heap", "internal/hint", "internal/joint", "internal/login", "internal/monitor", "internal/password", "internal/reload", "internal/settings", "internal/systemd", "internal/table", "internal/watch", "internal/web", "quicproxy", "quicproxy/live", "quicproxy/node", "internal/notices", "internal/dashboard", "internal/nodeapi", "internal/visits"},
	"internal/cmd/demo": nil,

	"internal/cmd/minimalnode": nil, // nothing: it is written from docs/protocol.md alone
	"internal/cmd/testlink":    nil,

	"internal/cmd/bench/proc":  nil,
	"internal/cmd/bench/load":  nil,
	"internal/cmd/bench/scale": {"internal/cmd/bench/proc", "certs", "quicproxy/node"},
	"internal/cmd/bench":       {"internal/cmd/bench/load", "internal/cmd/bench/proc", "internal/cmd/bench/scale"},

	"e2e/hostile": nil,
}

// allowedInTests adds what only the tests of a package may import.
var allowedInTests = map[string][]string{
	"lease":           {"lease/leasetest"},
	"lease/boltstore": {"lease/leasetest"},
	"internal/udp":    {"internal/testnet"},

	"quicproxy/server/internal/canary": {"certs"},
	"quicproxy": { // the whole tunnel
		"certs", "internal/settings", "internal/testnet", "internal/testrace", "internal/usage", "lease", "quicproxy/access",
		"quicproxy/admission", "quicproxy/internal/carrier", "quicproxy/internal/conn", "quicproxy/internal/keepalive",
		"quicproxy/internal/association", "quicproxy/internal/buffer", "quicproxy/internal/bytestream", "quicproxy/internal/knock", "quicproxy/internal/quicconfig", "quicproxy/internal/path", "quicproxy/internal/quicstream", "quicproxy/internal/relay", "quicproxy/internal/wait", "quicproxy/live", "quicproxy/node", "quicproxy/server", "certs/acme", "internal/web", "rules",
	},
	"quicproxy/node":   {"internal/settings", "quicproxy/server"}, // its example has one
	"quicproxy/server": {"internal/settings"},
	"e2e":              {"internal/chromium", "internal/testrace"},
	"e2e/netns":        nil,
	"e2e/hostile":      {"certs", "framing"},

	"internal/settings":  {"internal/cli"},
	"internal/monitor":   {"internal/monitor/monitortest"},
	"internal/dashboard": {"admin", "certs", "internal/chromium", "internal/events", "internal/reload", "internal/settings/limits", "internal/totals", "internal/usage", "lease", "quicproxy", "quicproxy/live", "rules", "internal/nodeapi", "internal/visits", "quicproxy/node"},
	"admin":              {"internal/monitor/monitortest"},
	"cmd/apquic-node":    {"internal/monitor/monitortest"},
	"admin/show":         {"quicproxy"},

	"quicproxy/internal/bytestream": {"internal/testnet", "internal/testrace"},
	"quicproxy/node/internal/flows": {"quicproxy/internal/memory", "quicproxy/internal/quicstream"},
	"quicproxy/internal/relay":      {"internal/testnet"},
}

// forbidden lists, for each package, the import paths that must not be linked into it, even indirectly. A
// path includes everything below it; "./" is this module.
var forbidden = map[string][]string{
	"framing":                    {"github.com/quic-go/quic-go", "net/http"},
	"certs":                      {"github.com/quic-go/quic-go", "net/http"},
	"lease":                      {"github.com/quic-go/quic-go", "net/http", "go.etcd.io"},
	"rules":                      {"github.com/quic-go/quic-go", "net/http", "go.etcd.io", "./quicproxy", "./internal/settings"},
	"quicproxy":                  {"./quicproxy/server", "./quicproxy/node", "github.com/quic-go/quic-go"},
	"quicproxy/server":           {"github.com/prometheus", "go.etcd.io", "golang.org/x/crypto/acme", "github.com/spf13/pflag", "./internal/settings", "./quicproxy/node"},
	"quicproxy/node":             {"github.com/prometheus", "go.etcd.io", "golang.org/x/crypto/acme", "github.com/spf13/pflag", "./internal/settings", "./quicproxy/server", "./lease"},
	"quicproxy/internal/buffer":  {"github.com/quic-go/quic-go", "net"},
	"quicproxy/internal/stripes": {"github.com/quic-go/quic-go", "net"},
	"quicproxy/internal/keepalive": {
		"github.com/quic-go/quic-go", "crypto/tls", // net/netip is welcome
	},
	"cmd/apquic-node": {
		"./lease/boltstore", "./lease/etcdstore", "./admin",
		"go.etcd.io", "testing",
	},
	"cmd/apquic-server": {"testing"},
}

// goPackage is what go list reports about a package.
type goPackage struct {
	ImportPath                         string
	Module                             struct{ Path string }
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

// folder returns the folder of a package of this module, with slashes; "." is the module's root.
func (p goPackage) folder() string {
	return cmp.Or(strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path), "/"), ".")
}

func TestImports(t *testing.T) {
	for _, p := range listPackages(t) {
		name := p.folder()
		imports, known := allowed[name]
		inTests, knownTests := allowedInTests[name]
		if !known && !knownTests && name != "." {
			t.Errorf("%s is in no line of this test: give it its place among the layers", name)
			continue
		}
		checkImports(t, p, "", p.Imports, imports)
		self := append(slices.Concat(imports, inTests), name)
		checkImports(t, p, "in its tests ", p.TestImports, self)
		checkImports(t, p, "in its tests ", p.XTestImports, self)
	}
}

func checkImports(t *testing.T, p goPackage, where string, imports, allowed []string) {
	t.Helper()
	for _, path := range imports {
		if own, ok := strings.CutPrefix(path, p.Module.Path+"/"); ok && !slices.Contains(allowed, own) {
			t.Errorf("%s %simports %s, which is not below it", p.folder(), where, own)
		}
	}
}

func TestForbidden(t *testing.T) {
	seen := 0
	for _, p := range listPackages(t) {
		paths := forbidden[p.folder()]
		if paths != nil {
			seen++
		}
		for _, dependency := range p.Deps {
			for _, path := range paths {
				if own, ok := strings.CutPrefix(path, "./"); ok {
					path = p.Module.Path + "/" + own
				}
				if dependency == path || strings.HasPrefix(dependency, path+"/") {
					t.Errorf("%s links %s", p.ImportPath, dependency)
				}
			}
		}
	}
	if seen != len(forbidden) {
		t.Errorf("%d of the %d packages with forbidden imports exist", seen, len(forbidden))
	}
}

// TestOneKnowsPrometheus: one package knows Prometheus, with the one for its tests.
func TestOneKnowsPrometheus(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if strings.HasPrefix(path, "github.com/prometheus/") && !strings.HasPrefix(p.folder(), "internal/monitor") {
				t.Errorf("%s imports %s", p.folder(), path)
			}
		}
	}
}

func listPackages(t *testing.T) (packages []goPackage) {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Module,Imports,TestImports,XTestImports,Deps", "./...")
	var complaint strings.Builder
	list.Stderr = &complaint
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaint.String())
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
