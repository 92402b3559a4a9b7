package path

import "encoding/binary"

// WakeDatagram asks a node to send something: if the server was restarted, the node's next message reveals
// that. Its first byte distinguishes it from QUIC (docs/protocol.md section 9). Anybody can send it.
const WakeDatagram = "\x3fapquic/1 wake"

const (
	probeText = "\x3fapquic/1 probe" // the first byte distinguishes it from QUIC
	// probeSize is the size of the datagram of a Probe.
	probeSize = len(probeText) + len(ProbeToken{}) + 4
)

// ProbeToken ties a Probe to one connection.
type ProbeToken [16]byte

// Probe is a datagram that creates a NAT mapping, and shows that it still exists (docs/protocol.md section
// 5.9): a text, a token of 16 bytes, and a number of 4 bytes, big-endian.
type Probe struct {
	Token  ProbeToken
	Number uint32
}

// Datagram is p as sent.
func (p Probe) Datagram() []byte {
	b := make([]byte, 0, probeSize)
	b = append(b, probeText...)
	b = append(b, p.Token[:]...)
	return binary.BigEndian.AppendUint32(b, p.Number)
}

// ParseProbe parses a datagram; ok is false if it is not a Probe.
func ParseProbe(datagram []byte) (p Probe, ok bool) {
	if len(datagram) != probeSize || string(datagram[:len(probeText)]) != probeText {
		return Probe{}, false
	}
	rest := datagram[len(probeText):]
	n := copy(p.Token[:], rest)
	p.Number = binary.BigEndian.Uint32(rest[n:])
	return p, true
}
