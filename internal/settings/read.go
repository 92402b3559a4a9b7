package settings

import (
	"fmt"
	"net"
	"strconv"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/address"
	"apquic/internal/settings/internal/jsonc"
)

func port(v jsonc.Value) (uint16, error) { return jsonc.Whole[uint16](1, 65535)(v) }

// host reads a name or an IP address.
func host(v jsonc.Value) (string, error) {
	s, err := v.Text()
	if err != nil {
		return "", err
	}
	return address.ParseHost(s)
}

// upstreamHost reads the host of an upstream, which may also have a zone: fe80::1%eth0.
func upstreamHost(v jsonc.Value) (string, error) {
	s, err := v.Text()
	if err != nil {
		return "", err
	}
	if _, err := address.ParseUpstream(joinPort(s, 1)); err != nil {
		return "", fmt.Errorf("%s is neither a host name nor an IP address", hint.Readable(s))
	}
	return s, nil
}

func joinPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
