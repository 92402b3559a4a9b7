package handshakes

// What a datagram may cost, in bytes, like the figures in account.go.
const (
	// A datagram costs its buffer while it waits for keys, and at worst a frame every few bytes, each of
	// which QUIC keeps: a one-byte CRYPTO frame takes five bytes in a packet and costs 96, a one-byte STREAM
	// frame takes six and costs 220.
	datagramCost      = 1600
	cryptoFrameCost   = 96
	handshakeByteCost = 20
	shortByteCost     = 40
)

// Datagram is what a stranger sends.
type Datagram struct {
	To, Client   []byte // connection ids: where it goes, and the client's own
	Begins       bool   // it may begin a connection
	CryptoFrames int    // in Initial packets
	Handshake    int    // bytes of Handshake packets
	Short        int    // bytes of packets with a short header
}

func (d Datagram) cost() int64 {
	return datagramCost + cryptoFrameCost*int64(d.CryptoFrames) + handshakeByteCost*int64(d.Handshake) + shortByteCost*int64(d.Short)
}
