package settings

import (
	"errors"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
)

// Termination is how a server ends TLS for services that ask for it, and which names it gives.
type Termination struct {
	Domain        string // below which services with a port have names; empty: none
	Certificates  string // folder; empty: none
	ACME          bool
	ACMEDirectory string // empty: Let's Encrypt
}

func (t *Termination) rows() rows {
	return rows{
		{
			key: "domain", setting: textVar(&t.Domain, "", address.CheckOwnDomain), unset: "none",
			want: `a name such as "tunnel.example.org", all names below which point to this machine`,
			help: "`NAME` below which services with a port get names, such as tunnel.example.org",
			docs: ": a service `web` has `https://web-SHORTID.tunnel.example.org` beside its port ([Names of the server's own](#names-of-the-servers-own)). `*.tunnel.example.org` must point to this machine. Needs `https`.",
		}, {
			key: "certificates", setting: textVar(&t.Certificates, "", nil), unset: "none",
			want: `a folder such as "/etc/letsencrypt/live"`,
			help: "end TLS for services with \"tls\": \"terminate\", with the certificates in this `FOLDER`",
			docs: ": `NAME.crt` or `NAME.pem` beside `NAME.key`, or folders with `fullchain.pem` beside `privkey.pem`. They are found by the names in them, also wildcards, and read again when they change. Needs `https`.",
		}, {
			key: "acme", setting: boolVar(&t.ACME, false),
			help: "end TLS for services with \"tls\": \"terminate\", with certificates by ACME",
			docs: ", which are kept in `acme` in the data directory. It accepts the authority's terms. A node causes 16 orders at once and 4 an hour, all nodes 100 and 50. Needs `https`.",
		}, {
			key: "acmeDirectory", setting: textVar(&t.ACMEDirectory, "", address.CheckURL), unset: "Let's Encrypt",
			want: `a URL such as "https://acme-v02.api.letsencrypt.org/directory"`,
			help: "`URL` of the authority that gives certificates for domains (ACME)",
		},
	}
}

// fault returns what is wrong with the settings together.
func (t Termination) fault(https string) (key string, err error) {
	for key, given := range map[string]bool{"domain": t.Domain != "", "certificates": t.Certificates != "", "acme": t.ACME} {
		if given && https == "" {
			return key, hint.Add(errors.New("clients of names need a port for TLS"), "add --https :443")
		}
	}
	return "", nil
}
