package settings

import (
	"fmt"

	"apquic/certs"
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
	all := []line{{"key", "in the data directory"}}
	if !c.Key.IsZero() {
		all[0].value = "from the file, of " + c.Key.ID().String()
	}
	for i, b := range c.Bootstraps {
		all = append(all, line{fmt.Sprintf("bootstraps[%d]", i), fmt.Sprintf("%v at %s (not used yet)", b.ID, joinPort(b.Address, b.Port))})
	}
	if c.DiscoveryPort != 0 {
		all = append(all, line{"port", fmt.Sprintf("%d (for discovery, not used yet)", c.DiscoveryPort)})
	}
	return all
}

// withDiscovery adds the keys at the top level of both of Carrier's files.
func withDiscovery(f form, services field, c *Carrier) form {
	f["services"] = services
	services.same = "services"
	f["addons"] = services
	f["port"] = field{want: "the UDP port for discovery, such as 39001", set: into(&c.DiscoveryPort, port)}
	f["bootstraps"] = field{want: "a list of {id, address, port}", set: into(&c.Bootstraps, carrierBootstraps)}
	return f
}

func carrierBootstraps(v value) (all []Bootstrap, err error) {
	err = v.elements(func(v value) {
		var one Bootstrap
		v.apply(field{want: "{id, address, port}", set: func(v value) error { return v.decode(carrierBootstrap(&one)) }})
		all = append(all, one)
	})
	return all, err
}

func carrierBootstrap(b *Bootstrap) form {
	return form{
		"id":      {want: wantNodeID, set: into(&b.ID, parsed(certs.ParseNodeID)), required: true},
		"address": {want: `a name or IP address, such as "155.138.245.211"`, set: into(&b.Address, host), required: true},
		"port":    {want: "a UDP port, such as 39001", set: into(&b.Port, port), required: true},
	}
}
