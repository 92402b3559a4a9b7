package bytestream

import (
	"context"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"apquic/framing"
	"apquic/quicproxy/internal/quicstream"
	"apquic/quicproxy/internal/stripes"
)

// records are buffers for a record, its header, and the header of a stripe.
var records = sync.Pool{New: func() any {
	b := make([]byte, 0, stripes.PieceSize+2*(1+framing.MaxStripeSize))
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
		for !t.ended && p.Waiting(s.sendableLocked(p)) == 0 {
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
	if !p.Outstanding() {
		p.lastArrival = began // nothing was in flight
	}
	begin, end, ok := p.Take(t, s.sendableLocked(p), began)
	if !ok {
		return nil
	}
	memory := records.Get().(*[]byte)
	defer records.Put(memory)
	record, err := s.appendRecordLocked(append((*memory)[:0], header...), begin, end)
	s.out.unacked.Charge(cap(*memory))
	s.mu.Unlock()
	if err == nil {
		t.carrier.Records.Add(1)
		_, err = quicstream.Write(t.stream, record)
	}
	s.mu.Lock()
	s.out.unacked.Charge(-cap(*memory))
	p.Written(began, time.Now())
	return err
}

// appendRecordLocked appends a record of unacked bytes.
func (s *resumable) appendRecordLocked(b []byte, begin, end uint64) ([]byte, error) {
	last := min(end, s.out.unacked.End())
	b, err := framing.AppendRecordHeader(b, &framing.RecordHeader{Offset: begin, Length: uint32(last - begin), End: end > last})
	for at := begin; at < last; {
		q, pinned := s.out.unacked.From(at)
		q = q[:min(uint64(len(q)), last-at)]
		b, at = append(b, q...), at+uint64(len(q))
		s.out.unacked.Unpin(pinned)
	}
	return b, err
}
