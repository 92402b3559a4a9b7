package settings

import (
	"net"
	"strconv"

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

func joinPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
