package quicproxy_test

import (
	"io"
	"net"
	"testing"
	"time"

	"apquic/internal/testrace"
	"apquic/quicproxy/internal/association"
	"apquic/quicproxy/internal/carrier"
)

// recordsAt is how many records stripes have carried over the connections of an association.
func (w *world) recordsAt(a *association.Association) (records uint64) {
	for _, c := range a.Live() {
		records += c.Records.Load()
	}
	return records
}

// TestStripes: where loss limits a connection, a single relay gets what all lanes carry together, and eight
// relays no less.
func TestStripes(t *testing.T) {
	for _, direction := range []string{"down", "up"} {
		t.Run(direction, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.net.SetLatency(25 * time.Millisecond)
				server := w.startServer()
				w.serveTCP(web, func(c net.Conn) { // as serveEndless, but up to 10 MB/s
					for chunk := make([]byte, 100<<10); ; time.Sleep(10 * time.Millisecond) {
						if _, err := c.Write(chunk); err != nil {
							return
						}
					}
				})
				w.serveTCP("192.168.1.101:81", func(c net.Conn) { io.Copy(counter{&w.uploaded}, c) })
				w.startNode(expose("a", web), expose("b", "192.168.1.101:81")).leases.wait(t, 2)
				w.net.SetLoss(0.01, 1)
				w.bulk(8, direction, testrace.Whole(20, 5)) // the lanes open
				one := w.bulk(1, direction, testrace.Whole(10, 2))
				eight := w.bulk(8, direction, testrace.Whole(10, 1))
				t.Logf("%d connections: one relay %.2f MB/s, eight %.2f", len(server.server.Status().Sessions), one/1e6, eight/1e6)
				if least := map[string]float64{"down": 5e6, "up": 4e6}[direction]; one < least || eight < one*85/100 {
					t.Error("that is too little")
				}
				if w.recordsAt(server.server.Inspect().Associations[0]) == 0 {
					t.Error("no stripes")
				}
			})
		})
	}
}

// TestLostLanesOfStripes: lanes and connections end during a striped download; every byte arrives once and in
// order.
func TestLostLanesOfStripes(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		data := someBytes(testrace.Whole(60<<20, 32<<20), 1)
		w.net.SetLatency(25 * time.Millisecond)
		server := w.startServer()
		w.serveTCP(web, func(c net.Conn) {
			io.ReadFull(c, make([]byte, 1))
			c.Write(data)
			closeWriteErr(c)
		})
		w.startNode(expose("web", web)).leasesWait(t)
		w.net.SetLoss(0.01, 1)
		c := w.visit("20000")
		defer c.Close()
		c.SetDeadline(time.Time{})
		io.WriteString(c, "x")
		done := make(chan error, 1)
		go func() { done <- wantBytes(c, data) }()
		striped, lostLanes, lostPrimaries := uint64(0), 0, 0
		for i := range 100 {
			time.Sleep(time.Second)
			a := server.server.Inspect().Associations[0]
			striped += w.recordsAt(a)
			if carriers := a.Live(); i%4 == 3 && len(carriers) > 2 {
				victim := carriers[len(carriers)-1]
				if i%8 == 7 {
					victim = carriers[0]
					lostPrimaries++
				} else {
					lostLanes++
				}
				victim.Conn.(*carrier.Conn).QUIC.CloseWithError(99, "a test")
			}
			select {
			case err := <-done:
				if err != nil || striped == 0 || lostLanes == 0 || lostPrimaries == 0 {
					t.Errorf("%v; stripes carried %d records; %d lanes and %d primary connections were lost", err, striped, lostLanes, lostPrimaries)
				}
				return
			default:
			}
		}
		t.Error("it takes too long")
	})
}
