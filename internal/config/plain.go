package config

import (
	"math"

	"github.com/tailscale/hujson"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
)

// What belongs to keys that several forms have.
const (
	wantSwitch       = "true or false"
	wantDuration     = `a duration such as "90s" or "180m", or a number of seconds`
	wantSize         = `a size such as "256MB" or "1GiB"`
	wantKeepalive    = `"auto", a duration such as "15s", or a number of seconds`
	wantDirectory    = `the path of a directory, such as "/var/lib/apquic"`
	wantNetID        = "a number from 0 to 4294967295; nodes and server have the same"
	wantLogLevel     = `"debug", "info", "warn" or "error"`
	wantLogFormat    = `"text" or "json"`
	wantDebugAddress = `an address of this machine alone, such as "127.0.0.1:6060"`
	wantPort         = "a port from 1 to 65535"
	wantUpstream     = `the address of the service, such as "127.0.0.1:80" or "unix:/run/app.sock"`
)

// plainServer is our own form of a server's file.
func plainServer(s *Server) form {
	f := serverSettings(s)
	f["listen"] = field{want: `an address and a UDP port for nodes, such as ":8090"`, set: into(&s.Listen, text)}
	f["range"] = field{want: `public ports such as "20000-22000" or "20000-20010,30000"`, set: into(&s.Range, parsed(lease.ParsePortRange))}
	return f
}

// serverSettings are the keys that both forms of a server's file have.
func serverSettings(s *Server) form {
	return form{
		"publicHost":           {want: `the name or IP address under which the public reaches the server, such as "tunnel.example.com"`, set: into(&s.PublicHost, host)},
		"publicListen":         {want: `an IP address of this machine, such as "203.0.113.5"`, set: into(&s.PublicListen, text)},
		"dataDir":              {want: wantDirectory, set: into(&s.DataDir, text)},
		"leaseTime":            {want: wantDuration, set: into(&s.LeaseTime, duration)},
		"maxServices":          {want: "a number from 1 to 65535", set: into(&s.MaxServices, whole(1, 65535))},
		"maxLeasesPerAddress":  {want: "a number from 1 to 1000000", set: into(&s.MaxLeasesPerAddress, whole(1, mostClients))},
		"maxClients":           {want: "a number from 1 to 1000000", set: into(&s.MaxClients, whole(1, mostClients))},
		"maxClientsPerAddress": {want: "a number from 1 to 1000000", set: into(&s.MaxClientsPerAddress, whole(1, mostClients))},
		"memory":               {want: wantSize, set: into(&s.Memory, parsed(parseSize))},
		"open":                 {want: wantSwitch, set: into(&s.Open, boolean)},
		"silent":               {want: wantSwitch, set: into(&s.Silent, boolean)},
		"ipv4":                 {want: wantSwitch, set: into(&s.IPv4, boolean)},
		"ipv6":                 {want: wantSwitch, set: into(&s.IPv6, boolean)},
		"idleTimeout":          {want: wantDuration, set: into(&s.IdleTimeout, duration)},
		"park":                 {want: wantDuration, set: into(&s.Park, duration)},
		"resumeTime":           {want: wantDuration, set: into(&s.ResumeTime, duration)},
		"drain":                {want: wantDuration, set: into(&s.Drain, duration)},
		"netId":                {want: wantNetID, set: into(&s.NetID, whole[uint32](0, math.MaxUint32))},
		"logLevel":             {want: wantLogLevel, set: into(&s.LogLevel, text)},
		"logFormat":            {want: wantLogFormat, set: into(&s.LogFormat, text)},
		"debugAddress":         {want: wantDebugAddress, set: into(&s.DebugAddress, text)},
	}
}

// plainNode is our own form of a node's file.
func plainNode(n *Node) form {
	f := nodeSettings(n)
	f["server"] = field{want: `the line that apquic-server prints, "apquic://SERVERID@HOST:PORT#SECRET"`, set: into(&n.Server, parsed(certs.ParseInvitation))}
	f["services"] = field{want: `names and addresses such as {"web": "127.0.0.1:80"}`, set: plainServices(&n.Services)}
	return f
}

// nodeSettings are the keys that both forms of a node's file have.
func nodeSettings(n *Node) form {
	return form{
		"dataDir":      {want: wantDirectory, set: into(&n.DataDir, text)},
		"ipv4":         {want: wantSwitch, set: into(&n.IPv4, boolean)},
		"ipv6":         {want: wantSwitch, set: into(&n.IPv6, boolean)},
		"keepalive":    {want: wantKeepalive, set: into(&n.Keepalive, keepalive)},
		"memory":       {want: wantSize, set: into(&n.Memory, parsed(parseSize))},
		"idleTimeout":  {want: wantDuration, set: into(&n.IdleTimeout, duration)},
		"resumeTime":   {want: wantDuration, set: into(&n.ResumeTime, duration)},
		"drain":        {want: wantDuration, set: into(&n.Drain, duration)},
		"netId":        {want: wantNetID, set: into(&n.NetID, whole[uint32](0, math.MaxUint32))},
		"logLevel":     {want: wantLogLevel, set: into(&n.LogLevel, text)},
		"logFormat":    {want: wantLogFormat, set: into(&n.LogFormat, text)},
		"debugAddress": {want: wantDebugAddress, set: into(&n.DebugAddress, text)},
	}
}

// plainServices reads {"NAME": "UPSTREAM" or {...}, ...}.
func plainServices(services *[]Service) func(value) error {
	return func(v value) error {
		var all []Service
		err := v.members(func(name string, at, member value) {
			service := Service{Name: name}
			if err := framing.CheckServiceName(name); err != nil {
				at.report(err)
				return
			}
			before := v.mistakes
			member.apply(field{want: wantUpstream, set: func(v value) error { return plainUpstream(v, &service) }})
			if v.mistakes == before {
				all = append(all, service)
			}
		})
		*services = all
		return err
	}
}

// plainUpstream reads "UPSTREAM" or {"upstream": "UPSTREAM", "publicPort": 20022}.
func plainUpstream(v value, s *Service) error {
	if _, short := v.node.Value.(hujson.Literal); short {
		return into(&s.Upstream, parsed(parseUpstream))(v)
	}
	return v.decode(plainService(s))
}

// plainService is the long form of a service.
func plainService(s *Service) form {
	return form{
		"upstream":   {want: wantUpstream, set: into(&s.Upstream, parsed(parseUpstream)), required: true},
		"publicPort": {want: wantPort + " in the server's range", set: into(&s.PublicPort, port)},
	}
}
