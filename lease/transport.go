package lease

import "fmt"

// Transport is what clients use at a port.
type Transport uint8

// The transports of a lease.
const (
	TCP Transport = iota
	UDP
	TCPAndUDP
)

var transportNames = [...]string{TCP: "tcp", UDP: "udp", TCPAndUDP: "tcp+udp"}

// HasTCP reports whether clients connect over TCP.
func (t Transport) HasTCP() bool { return t != UDP }

// HasUDP reports whether clients send datagrams.
func (t Transport) HasUDP() bool { return t == UDP || t == TCPAndUDP }

// String is the scheme of public addresses.
func (t Transport) String() string {
	if int(t) < len(transportNames) {
		return transportNames[t]
	}
	return fmt.Sprintf("transport %d", uint8(t))
}

// MarshalText returns the form of String.
func (t Transport) MarshalText() ([]byte, error) {
	if t > TCPAndUDP {
		return nil, fmt.Errorf("there is no %v", t)
	}
	return []byte(t.String()), nil
}

// UnmarshalText reads the form of String; t is unchanged if text is another one.
func (t *Transport) UnmarshalText(text []byte) error {
	for i, name := range transportNames {
		if string(text) == name {
			*t = Transport(i)
			return nil
		}
	}
	return fmt.Errorf("%.20q is no transport: want tcp, udp or tcp+udp", text)
}
