package settings

import (
	"errors"
	"fmt"

	"apquic/framing"
	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
)

// fault is a mistake in the settings, wherever it came from.
type fault struct {
	err  error
	keys []string // that it is about, as in the plain form
}

type faults []fault

func (f *faults) add(err error, keys ...string) {
	if err != nil {
		*f = append(*f, fault{err, keys})
	}
}

func (f *faults) services(services []Service) {
	names, ports, domains, groups := map[string]bool{}, map[uint16]string{}, map[string]string{}, map[string]string{}
	for _, s := range services {
		key := "services." + hint.Readable(s.Name)
		f.add(framing.CheckServiceName(s.Name), key)
		if names[s.Name] {
			f.add(errors.New("two services have this name"), key)
		}
		names[s.Name] = true
		if _, _, err := framing.ParseOrigin(s.Upstream); err != nil {
			f.add(err, key)
		}
		f.add(checkOptions(s), key)
		if other, taken := ports[s.PublicPort]; taken && s.PublicPort != 0 {
			f.add(fmt.Errorf("%d is also the public port of %s", s.PublicPort, other), key+".publicPort", "services."+other+".publicPort")
		}
		ports[s.PublicPort] = hint.Readable(s.Name)
		f.add(s.siteFault(), key)
		f.add(s.loginFault(), key)
		f.add(s.accessFault(), key)
		f.add(visitorFault(s.Visitors), key)
		if other, taken := domains[s.Domain]; taken && s.Domain != "" {
			f.add(fmt.Errorf("%s is also the domain of %s", s.Domain, other), key+".domain", "services."+other+".domain")
		}
		domains[s.Domain] = hint.Readable(s.Name)
		f.add(s.groupFault(), key)
		if other, taken := groups[s.Group]; taken && s.Group != "" {
			f.add(fmt.Errorf("%s is also the group of %s: a node offers a group once", s.Group, other), key+".group", "services."+other+".group")
		}
		groups[s.Group] = hint.Readable(s.Name)
	}
}

func checkListen(listen string) error {
	return address.CheckSocket(listen, `want an address and a UDP port for nodes, such as ":8090"`)
}

// checkShared is for the ports of domains.
func checkShared(listen string) error {
	if listen == "" {
		return nil
	}
	return address.CheckSocket(listen, `want an address and a TCP port, such as ":443"`)
}

// errors returns the faults for [Server.Validate] and [Node.Validate].
func (f faults) errors() error {
	var all jsonc.Errors
	for _, fault := range f {
		all.Add(fault.keys[0], fault.err)
	}
	return all.OrNil()
}
