package path

import "encoding/binary"

// WakeDatagram asks a node to say something: the server was restarted, and the node's next message finds that out. Its first
// byte tells it from QUIC (docs/protocol.md section 9). Anybody may send it.
const WakeDatagram = "\x3fapquic/1 wake"

const (
	probeText = "\x3fapquic/1 probe" // whose first byte tells it from QUIC
	// ProbeSize is the size of the datagram of a Probe.
	ProbeSize = len(probeText) + len(ProbeToken{}) + 4
)

// ProbeToken makes a Probe that of one connection.
type ProbeToken [16]byte

// Probe is a datagram that makes a mapping in a NAT, and shows that it is still there (docs/protocol.md section 5.9): a text, a
// token of 16 bytes, and a number of 4, the most significant first.
type Probe struct {
	Token  ProbeToken
	Number uint32
}

// Datagram is p as it is sent.
func (p Probe) Datagram() []byte {
	b := make([]byte, 0, ProbeSize)
	b = append(b, probeText...)
	b = append(b, p.Token[:]...)
	return binary.BigEndian.AppendUint32(b, p.Number)
}

// ParseProbe takes a datagram apart; ok is false if it is not that of a Probe.
func ParseProbe(datagram []byte) (p Probe, ok bool) {
	if len(datagram) != ProbeSize || string(datagram[:len(probeText)]) != probeText {
		return Probe{}, false
	}
	rest := datagram[len(probeText):]
	n := copy(p.Token[:], rest)
	p.Number = binary.BigEndian.Uint32(rest[n:])
	return p, true
}
