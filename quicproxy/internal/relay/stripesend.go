package relay

import (
	"context"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// records are buffers for a record, its header, and the header of a stripe.
var records = sync.Pool{New: func() any {
	b := make([]byte, 0, pieceSize+2*(1+framing.MaxStripeSize))
	return &b
}}

// runStripe opens a stripe and writes to it.
func (s *resumable) runStripe(ctx context.Context, p *striping, t *stripe) {
	defer t.cancel()
	stream, err := t.carrier.OpenUniStream(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		t.stream = stream
		if t.ended {
			stream.CancelWrite(quic.StreamErrorCode(framing.ErrorRelayMoved)) // nothing was written to it
			return
		}
		err = s.feedLocked(p, t)
	}
	if err != nil && s.striping == p {
		s.stripeLostLocked(p, t, time.Now())
		s.updateStripesLocked()
	}
}

// feedLocked holds the lock only between writes.
func (s *resumable) feedLocked(p *striping, t *stripe) error {
	header, err := framing.AppendStripeHeader(nil, &framing.StripeHeader{Relay: s.number, Attempt: p.attempt})
	for err == nil {
		for !t.ended && p.waiting(s.sendableLocked(p)) == 0 {
			s.changed.Wait()
		}
		if t.ended {
			break
		}
		err = s.sendRecordLocked(p, t, header)
		header = nil
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	if err == nil {
		t.stream.Close() // which changes nothing if the stream was cancelled
	}
	return err
}

// sendRecordLocked sends the next piece, behind header.
func (s *resumable) sendRecordLocked(p *striping, t *stripe, header []byte) error {
	began := time.Now()
	if len(p.inFlight)+len(p.reinject) == 0 {
		p.lastArrival = began // nothing was in flight
	}
	n, ok := p.take(t, s.sendableLocked(p), began)
	if !ok {
		return nil
	}
	buffer := records.Get().(*[]byte)
	defer records.Put(buffer)
	b, err := s.appendRecordLocked(append((*buffer)[:0], header...), n)
	s.out.unacked.more(cap(*buffer))
	s.mu.Unlock()
	if err == nil {
		t.carrier.Records.Add(1)
		_, err = t.stream.WriteWithLimit(b, noLimit)
	}
	s.mu.Lock()
	s.out.unacked.more(-cap(*buffer))
	p.written(began, time.Now())
	return err
}

// appendRecordLocked appends a record of unacked bytes.
func (s *resumable) appendRecordLocked(b []byte, n span) ([]byte, error) {
	end := min(n.end, s.out.unacked.end)
	b, err := framing.AppendRecordHeader(b, &framing.RecordHeader{Offset: n.begin, Length: uint32(end - n.begin), End: n.end > end})
	for at := n.begin; at < end; {
		q, pinned := s.out.unacked.from(at)
		q = q[:min(uint64(len(q)), end-at)]
		b, at = append(b, q...), at+uint64(len(q))
		s.out.unacked.unpin(pinned)
	}
	return b, err
}
