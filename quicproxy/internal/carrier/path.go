package carrier

import "apquic/quicproxy/live"

// Path is the connection as its packets see it.
func (c *Conn) Path() live.Path {
	stats := c.QUIC.ConnectionStats()
	return live.Path{
		RTT: stats.SmoothedRTT, MinRTT: stats.MinRTT, Sent: stats.PacketsSent, Lost: stats.PacketsLost,
		BytesSent: stats.BytesSent, BytesReceived: stats.BytesReceived, Datagrams: c.Flows != nil,
	}
}
