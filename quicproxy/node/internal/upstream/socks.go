package upstream

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
)

// SOCKS5 as in RFC 1928, with CONNECT only and without authentication. Who may reach a proxy is up to the service
// that it is.
const (
	socksVersion = 5

	methodNone         = 0x00
	methodUnacceptable = 0xff

	commandConnect = 1

	addressIPv4 = 1
	addressName = 3
	addressIPv6 = 4
)

// socksCode is how a proxy answers a request.
type socksCode byte

const (
	socksDone               socksCode = 0
	socksFailed             socksCode = 1
	socksNotAllowed         socksCode = 2
	socksNetworkUnreachable socksCode = 3
	socksHostUnreachable    socksCode = 4
	socksRefused            socksCode = 5
	socksNoCommand          socksCode = 7
	socksNoAddressType      socksCode = 8
)

var (
	errNotSOCKS  = errors.New("the client does not speak SOCKS5")
	errNoMethod  = errors.New("the client wants to authenticate itself, which nobody asks here")
	errNoCommand = errors.New("the client wants more than to connect")
	errNoAddress = errors.New("the client names no valid address")
)

// target is where a client of a proxy wants to go: to a name, or an address.
type target struct {
	name    string
	address netip.Addr // invalid: see name
	port    uint16
}

// readGreeting reads the beginning and answers it.
func readGreeting(c io.ReadWriter) error {
	head := make([]byte, 2)
	if _, err := io.ReadFull(c, head); err != nil {
		return err
	}
	if head[0] != socksVersion || head[1] == 0 {
		return errNotSOCKS
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(c, methods); err != nil {
		return err
	}
	if !strings.ContainsRune(string(methods), methodNone) {
		c.Write([]byte{socksVersion, methodUnacceptable})
		return &answeredError{errNoMethod}
	}
	_, err := c.Write([]byte{socksVersion, methodNone})
	return err
}

// readRequest reads where the client wants to go, and not a byte more. It answers what cannot be done.
func readRequest(c io.ReadWriter) (to target, err error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return to, err
	}
	if head[0] != socksVersion {
		return to, errNotSOCKS
	}
	size := 0
	switch head[3] {
	case addressIPv4:
		size = 4
	case addressIPv6:
		size = 16
	case addressName:
		length := make([]byte, 1)
		if _, err := io.ReadFull(c, length); err != nil {
			return to, err
		}
		size = int(length[0])
	default:
		return to, answer(c, socksNoAddressType, errNoAddress)
	}
	rest := make([]byte, size+2)
	if _, err := io.ReadFull(c, rest); err != nil {
		return to, err
	}
	to.port = binary.BigEndian.Uint16(rest[size:])
	if head[3] == addressName {
		to.name = string(rest[:size])
		if address, err := netip.ParseAddr(to.name); err == nil && address.Zone() == "" {
			to.address = address.Unmap()
		}
	} else {
		address, _ := netip.AddrFromSlice(rest[:size])
		to.address = address.Unmap()
	}
	switch {
	case head[1] != commandConnect:
		return to, answer(c, socksNoCommand, errNoCommand)
	case to.port == 0 || !to.address.IsValid() && !isHostName(to.name):
		return to, answer(c, socksFailed, errNoAddress)
	}
	return to, nil
}

// isHostName accepts the characters of names in the DNS.
func isHostName(name string) bool {
	strange := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	}
	return name != "" && !strings.ContainsFunc(name, strange)
}

// answer tells the client how its request ended, and returns err as one that it knows of.
func answer(c io.Writer, code socksCode, err error) error {
	reply := []byte{socksVersion, byte(code), 0, addressIPv4, 0, 0, 0, 0, 0, 0} // from where it is connected is nobody's business
	if _, failed := c.Write(reply); failed != nil {
		return failed
	}
	if err != nil {
		return &answeredError{err}
	}
	return nil
}

// answeredError is an error that the client was told of in its own protocol: nothing follows but the end.
type answeredError struct{ error }

func (e *answeredError) Unwrap() error { return e.error }
