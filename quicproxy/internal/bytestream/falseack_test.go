package bytestream

import (
	"testing"
	"testing/synctest"

	"apquic/framing"
)

// TestArrivedTooMuch: a peer that says that it has more than was sent has nothing released by the same message: what sends
// to it counts on what is there.
func TestArrivedTooMuch(t *testing.T) {
	stripedRelay(t, 3, func(r *relayTest, sent int) {
		send(r.client, patternAt(sent, 4<<20))
		synctest.Wait()
		s := r.client.(*resumable)
		var before, end uint64
		locked(s, func(s *resumable) {
			before, end = s.out.unacked.Begin(), s.out.unacked.End()
			first := true
			s.out.unacked.Count(func(bytes, counted int) {
				if first {
					first = false // this much is counted already
					return
				}
				r.keep(bytes, counted)
				if bytes < 0 && s.out.state != over {
					t.Errorf("%d bytes are released while stripes may send them", -bytes)
				}
			})
		})
		if before == end {
			t.Fatal("nothing is unacked")
		}
		s.HandleProgress(&framing.RelayProgress{Relay: s.number, Received: end, Arrived: 1 << 50})
		locked(s, func(s *resumable) {
			if s.resetCode == framing.NoError {
				t.Error("the relay goes on")
			}
		})
	})
}

// TestStoppedAndLost: a peer that takes no more and has lost the stream of the other direction says both in one message.
func TestStoppedAndLost(t *testing.T) {
	inBubble(t, "", func(r *relayTest) {
		r.connect(true)
		s := r.client.(*resumable)
		before, _ := s.Current()
		s.HandleProgress(&framing.RelayProgress{Relay: s.number, Stopped: true, Lost: s.attempt})
		synctest.Wait()
		if now, _ := s.Current(); now == before {
			t.Error("the stream that the peer has lost is still in use")
		}
	})
}
