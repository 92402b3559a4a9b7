package settings

import (
	"fmt"
	"strings"
)

// upstreamOptions are the keys of a service that say how to deal with its upstream.
func upstreamOptions(s *Service) form {
	return form{
		"proxyProtocol": {want: "1 or 2, the version that the service understands, or 0 for none", set: into(&s.ProxyProtocol, whole(0, 2))},
	}
}

// checkOptions checks the options of a service against its address.
func checkOptions(s Service) error {
	if s.ProxyProtocol < 0 || s.ProxyProtocol > 2 {
		return fmt.Errorf("the version of the PROXY protocol is 1 or 2, or 0 for none, not %d", s.ProxyProtocol)
	}
	return nil
}

// describeOptions says what the options of a service mean, to follow its address.
func describeOptions(s Service) string {
	var b strings.Builder
	if s.ProxyProtocol != 0 {
		fmt.Fprintf(&b, ", told of each client by PROXY protocol version %d", s.ProxyProtocol)
	}
	return b.String()
}
