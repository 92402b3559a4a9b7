package settings

import (
	"errors"
	"log/slog"

	"apquic/certs"
	"apquic/internal/control"
	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
)

// Admin is where a program answers its owner, beside the socket in the data directory.
type Admin struct {
	AdminAddress   string // empty: nowhere
	AdminTokenFile string // empty: one in the data directory, or with Admins none
	AdminHosts     []string
	Admins         []certs.NodeID
}

func (a *Admin) rows() rows {
	return rows{
		{
			key: "admin", also: "dashboard", setting: textVar(&a.AdminAddress, "", nil), unset: "none",
			want: `an address of this machine and a TCP port, such as "127.0.0.1:8091"`,
			help: "TCP `ADDRESS` of the dashboard and the API, such as 127.0.0.1:8091; --dashboard is the same",
			docs: ". The command `dashboard` prints a link to [the page](dashboard.md), and programs send the token in `adminTokenFile` ([api.md](api.md)). It must be of this machine alone, unless `admins` is given.",
		}, {
			key: "adminTokenFile", setting: textVar(&a.AdminTokenFile, "", nil), unset: "admin_token in the data directory",
			want: `the path of a file, such as "/etc/apquic/admin_token"`,
			help: "`FILE` with the token that admits to --admin",
			docs: "If it does not exist, it is made, with a random token. Only the program's user may read it.",
		}, {
			key: "adminHosts", setting: list[string]{"hosts", `names such as "tunnel.example.com"`, address.ParseHost, func(s string) string { return s }}.bind(&a.AdminHosts), unset: "none",
			help: "`NAMES` under which programs ask at --admin, with commas",
			docs: "IP addresses and `localhost` need not be named.",
		}, {
			key: "admins", setting: list[certs.NodeID]{"ids", `ids of nodes, such as "HZXXs9LTfNQjrDKvvexRhuMk8TTJhYCfrHwaj3jUzuhZ"`, certs.ParseNodeID, certs.NodeID.String}.bind(&a.Admins), unset: "none",
			help: "`IDS` of nodes whose keys admit to --admin, with commas",
			docs: "Then HTTPS is spoken there, with this program's own key, at any address; no token is made, but one in `adminTokenFile` counts, too.",
		},
	}
}

// Control is where the program with a data directory and a key answers its owner.
func (a Admin) Control(dataDir string, key certs.PrivateKey, log *slog.Logger) control.Address {
	return control.Address{
		DataDir: dataDir, Listen: a.AdminAddress, TokenFile: a.AdminTokenFile, Hosts: a.AdminHosts, Admins: a.Admins, Key: key, Log: log,
	}
}

// fault returns what is wrong with them together.
func (a Admin) fault() error {
	switch others := a.AdminTokenFile != "" || len(a.AdminHosts)+len(a.Admins) > 0; {
	case a.AdminAddress == "" && others:
		return hint.Add(errors.New("there is no address at which the owner could ask"), "add --admin 127.0.0.1:8091")
	case a.AdminAddress == "":
		return nil
	}
	return control.Address{Listen: a.AdminAddress, Admins: a.Admins}.Check()
}
