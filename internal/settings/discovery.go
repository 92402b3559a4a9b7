package settings

import (
	"fmt"

	"apquic/certs"
	"apquic/internal/settings/internal/jsonc"
)

const wantNodeID = `a node id, such as "HZXXs9LTfNQjrDKvvexRhuMk8TTJhYCfrHwaj3jUzuhZ"`

// Carrier is what can be set only in the form of Elastos Carrier.
type Carrier struct {
	Key           certs.PrivateKey // zero: the key file in the data directory
	Bootstraps    []Bootstrap      // kept for discovery, not used yet
	DiscoveryPort uint16           // the same; 0: none
}

// Bootstrap is a node of a discovery network.
type Bootstrap struct {
	ID      certs.NodeID
	Address string // name or IP address
	Port    uint16 // UDP
}

// lines describes c.
func (c Carrier) lines() []line {
	all := []line{{Key: "key", Value: "in the data directory"}}
	if !c.Key.IsZero() {
		all[0].Value = "from the file, of " + c.Key.ID().String()
	}
	for i, b := range c.Bootstraps {
		all = append(all, line{Key: fmt.Sprintf("bootstraps[%d]", i), Value: fmt.Sprintf("%v at %s (not used yet)", b.ID, joinPort(b.Address, b.Port))})
	}
	if c.DiscoveryPort != 0 {
		all = append(all, line{Key: "port", Value: fmt.Sprintf("%d (for discovery, not used yet)", c.DiscoveryPort)})
	}
	return all
}

// withDiscovery adds the keys at the top level of both of Carrier's files.
func withDiscovery(f jsonc.Form, services jsonc.Field, c *Carrier) jsonc.Form {
	f["services"] = services
	services.Same = "services"
	f["addons"] = services
	f["port"] = jsonc.Field{Want: "the UDP port for discovery, such as 39001", Set: jsonc.Into(&c.DiscoveryPort, port)}
	f["bootstraps"] = jsonc.Field{Want: "a list of {id, address, port}", Set: jsonc.Into(&c.Bootstraps, carrierBootstraps)}
	return f
}

func carrierBootstraps(v jsonc.Value) (all []Bootstrap, err error) {
	err = v.Elements(func(v jsonc.Value) {
		var one Bootstrap
		v.Apply(jsonc.Field{Want: "{id, address, port}", Set: func(v jsonc.Value) error { return v.Decode(carrierBootstrap(&one)) }})
		all = append(all, one)
	})
	return all, err
}

func carrierBootstrap(b *Bootstrap) jsonc.Form {
	return jsonc.Form{
		"id":      {Want: wantNodeID, Set: jsonc.Into(&b.ID, jsonc.Parsed(certs.ParseNodeID)), Required: true},
		"address": {Want: `a name or IP address, such as "155.138.245.211"`, Set: jsonc.Into(&b.Address, host), Required: true},
		"port":    {Want: "a UDP port, such as 39001", Set: jsonc.Into(&b.Port, port), Required: true},
	}
}
