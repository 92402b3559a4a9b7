package bytestream

import (
	"errors"
	"io"
	"net"
	"testing"

	"apquic/framing"
)

// newSending has 100 bytes of which the peer has acked 10.
func newSending(state state, ended bool, code framing.ErrorCode) *sending {
	s := &sending{}
	s.unacked.Count(func(_, _ int) {})
	s.unacked.Copy(make([]byte, 100))
	s.unacked.Release(10)
	if ended {
		s.end(code)
	}
	if s.state = state; state == over {
		s.state = onStream
		s.stop(ErrStopped)
	}
	return s
}

// TestSending: what each event makes of each state.
func TestSending(t *testing.T) {
	t.Parallel()
	reset := &ResetError{framing.ErrorRelayReset}
	type result struct {
		state state
		kept  int
		wrong bool // the peer says what cannot be
	}
	for name, event := range map[string]struct {
		do    func(*sending) error
		ended bool
		code  framing.ErrorCode
		want  [4]result // from onStream, striped, resuming, over
	}{
		"lost":               {do: func(s *sending) error { s.lost(); return nil }, want: [4]result{{resuming, 90, false}, {resuming, 90, false}, {resuming, 90, false}, {over, 0, false}}},
		"resumed":            {do: func(s *sending) error { return s.resumed(40) }, want: [4]result{{onStream, 60, false}, {striped, 60, false}, {resuming, 60, false}, {over, 0, false}}},
		"resumed too early":  {do: func(s *sending) error { return s.resumed(9) }, want: [4]result{{onStream, 90, true}, {striped, 90, true}, {resuming, 90, true}, {over, 0, false}}},
		"resumed too late":   {do: func(s *sending) error { return s.resumed(101) }, want: [4]result{{onStream, 90, true}, {striped, 90, true}, {resuming, 90, true}, {over, 0, false}}},
		"resumed at the end": {do: func(s *sending) error { return s.resumed(101) }, ended: true, want: [4]result{{over, 0, false}, {over, 0, false}, {over, 0, false}, {over, 0, false}}},
		"caught up":          {do: func(s *sending) error { s.caughtUp(); return nil }, want: [4]result{{onStream, 90, false}, {striped, 90, false}, {onStream, 90, false}, {over, 0, false}}},
		"acked":              {do: func(s *sending) error { return s.acked(100) }, want: [4]result{{onStream, 0, false}, {striped, 0, false}, {resuming, 0, false}, {over, 0, false}}},
		"acked before":       {do: func(s *sending) error { return s.acked(5) }, want: [4]result{{onStream, 90, false}, {striped, 90, false}, {resuming, 90, false}, {over, 0, false}}},
		"acked too much":     {do: func(s *sending) error { return s.acked(101) }, want: [4]result{{onStream, 90, true}, {striped, 90, true}, {resuming, 90, true}, {over, 0, false}}},
		"acked but the end":  {do: func(s *sending) error { return s.acked(100) }, ended: true, want: [4]result{{onStream, 0, false}, {striped, 0, false}, {resuming, 0, false}, {over, 0, false}}},
		"acked with the end": {do: func(s *sending) error { return s.acked(101) }, ended: true, want: [4]result{{over, 0, false}, {over, 0, false}, {over, 0, false}, {over, 0, false}}},
		"acked and reset":    {do: func(s *sending) error { return s.acked(100) }, ended: true, code: 64, want: [4]result{{over, 0, false}, {over, 0, false}, {over, 0, false}, {over, 0, false}}},
		"striped":            {do: func(s *sending) error { s.stripe(); return nil }, want: [4]result{{striped, 90, false}, {striped, 90, false}, {resuming, 90, false}, {over, 0, false}}},
		"ended":              {do: func(s *sending) error { s.end(framing.NoError); return nil }, want: [4]result{{onStream, 90, false}, {striped, 90, false}, {resuming, 90, false}, {over, 0, false}}},
		"reset here":         {do: func(s *sending) error { s.end(64); return s.acked(100) }, ended: true, want: [4]result{{over, 0, false}, {over, 0, false}, {over, 0, false}, {over, 0, false}}},
		"stopped":            {do: func(s *sending) error { s.stop(ErrStopped); return nil }, want: [4]result{{over, 0, false}, {over, 0, false}, {over, 0, false}, {over, 0, false}}},
		"reset by the peer":  {do: func(s *sending) error { s.stop(reset); return nil }, want: [4]result{{over, 0, false}, {over, 0, false}, {over, 0, false}, {over, 0, false}}},
	} {
		for from, want := range event.want {
			s := newSending(state(from), event.ended, event.code)
			err := event.do(s)
			if got := (result{s.state, s.unacked.Size(), err != nil}); got != want {
				t.Errorf("%s in %d: %v, want %v", name, from, got, want)
			}
			if s.state == over && s.err == nil {
				t.Errorf("%s in %d: writes have no error", name, from)
			}
		}
	}
}

// TestReceiving: the same for receivers, which have taken 10 bytes.
func TestReceiving(t *testing.T) {
	t.Parallel()
	reset := &ResetError{framing.ErrorRelayReset}
	type result struct {
		state    state
		position uint64
		err      error
	}
	was := net.ErrClosed
	for name, event := range map[string]struct {
		do   func(*receiving)
		want [4]result
	}{
		"lost":                 {func(r *receiving) { r.lost() }, [4]result{{resuming, 10, nil}, {resuming, 10, nil}, {resuming, 10, nil}, {over, 10, was}}},
		"resumed":              {func(r *receiving) { r.resumed() }, [4]result{{onStream, 10, nil}, {striped, 10, nil}, {onStream, 10, nil}, {over, 10, was}}},
		"striped":              {func(r *receiving) { r.stripe() }, [4]result{{striped, 10, nil}, {striped, 10, nil}, {resuming, 10, nil}, {over, 10, was}}},
		"the end":              {func(r *receiving) { r.eof() }, [4]result{{over, 11, io.EOF}, {over, 11, io.EOF}, {over, 11, io.EOF}, {over, 10, was}}},
		"reset at 10":          {func(r *receiving) { r.resetAt(10, reset) }, [4]result{{over, 10, reset}, {over, 10, reset}, {over, 10, reset}, {over, 10, was}}},
		"reset at 20":          {func(r *receiving) { r.resetAt(20, reset) }, [4]result{{onStream, 10, nil}, {striped, 10, nil}, {resuming, 10, nil}, {over, 10, was}}},
		"reset at 20, reached": {func(r *receiving) { r.resetAt(20, reset); r.advance(10) }, [4]result{{over, 20, reset}, {over, 20, reset}, {over, 20, reset}, {over, 20, was}}},
		"reset at 20, the end": {func(r *receiving) { r.resetAt(20, reset); r.eof() }, [4]result{{over, 11, io.EOF}, {over, 11, io.EOF}, {over, 11, io.EOF}, {over, 10, was}}},
		"stopped":              {func(r *receiving) { r.stop(io.ErrClosedPipe) }, [4]result{{over, 10, io.ErrClosedPipe}, {over, 10, io.ErrClosedPipe}, {over, 10, io.ErrClosedPipe}, {over, 10, was}}},
	} {
		for from, want := range event.want {
			r := &receiving{state: state(from), position: 10}
			if r.state == over {
				r.err = was
			}
			event.do(r)
			if r.state != want.state || r.position != want.position || !errors.Is(r.err, want.err) {
				t.Errorf("%s in %d: %d at %d, %v; want %v", name, from, r.state, r.position, r.err, want)
			}
		}
	}
}
