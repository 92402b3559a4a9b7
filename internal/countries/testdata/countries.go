//go:build ignore

// Command countries writes countries.mmdb: a database of the countries of documentation networks and of this machine,
// in the form of GeoLite2-Country, with github.com/maxmind/mmdbwriter v1.2.0 in a module of its own:
//
//	go run . > countries.mmdb
package main

import (
	"log"
	"net"
	"os"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

func main() {
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "GeoLite2-Country", Description: map[string]string{"en": "a test of apquic"}, IncludeReservedNetworks: true, BuildEpoch: 1700000000,
	})
	if err != nil {
		log.Fatal(err)
	}
	for network, country := range map[string]string{
		"127.0.0.1/32": "DE", "127.0.0.2/32": "FR", "192.0.2.0/24": "AT", "192.0.2.128/25": "CH", "2001:db8::/32": "JP",
	} {
		insert(tree, network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(country)}})
	}
	insert(tree, "198.51.100.0/24", mmdbtype.Map{"country_code": mmdbtype.String("SE")}) // as others write it
	insert(tree, "203.0.113.0/24", mmdbtype.Map{"continent": mmdbtype.Map{"code": mmdbtype.String("EU")}})
	if _, err := tree.WriteTo(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func insert(tree *mmdbwriter.Tree, network string, record mmdbtype.DataType) {
	_, parsed, err := net.ParseCIDR(network)
	if err != nil {
		log.Fatal(err)
	}
	if err := tree.Insert(parsed, record); err != nil {
		log.Fatal(err)
	}
}
