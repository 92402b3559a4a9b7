package visit

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"apquic/framing"
	"apquic/quicproxy/access"
	"apquic/quicproxy/internal/bytestream"
)

// fakeStream answers with what a test wants. Other methods are not called.
type fakeStream struct {
	bytestream.Stream
	readErr  error
	watching func(reset bool)
}

func (s *fakeStream) Read(b []byte) (int, error) {
	if s.readErr != nil {
		return 0, s.readErr
	}
	return min(len(b), 3), nil
}
func (s *fakeStream) Write(b []byte) (int, error)  { return len(b), nil }
func (s *fakeStream) WriteBuffer([]byte) error     { return nil }
func (s *fakeStream) Watch(ended func(reset bool)) { s.watching = ended }
func (s *fakeStream) Reset(framing.ErrorCode)      {}
func (s *fakeStream) Discard(framing.ErrorCode)    {}
func (s *fakeStream) Resumed() uint64              { return 2 }

// listening is an outlet to which somebody listens.
func listening() *access.Outlet {
	to := new(access.Outlet)
	to.Set(func(access.Relay) {})
	return to
}

// TestVisit: what a stream carries is counted, and how long the service took to say something.
func TestVisit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, v := Of(&fakeStream{}, listening())
		begun := time.Now()
		s.Read(make([]byte, 10))
		time.Sleep(time.Second)
		s.Write(make([]byte, 5))
		time.Sleep(time.Second)
		s.WriteBuffer(make([]byte, 7))
		got := v.Ended(&framing.StreamHeader{ClientAddress: "192.0.2.7:4711", PublicAddress: "203.0.113.5:20000"}, "")
		want := access.Relay{
			Port: 20000, Client: "192.0.2.7:4711", Begun: begun, Lasted: 2 * time.Second, FirstByte: time.Second + 1, In: 3, Out: 12, Resumed: 2, End: "closed",
		}
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if got = v.Ended(&framing.StreamHeader{PublicAddress: "203.0.113.5:443"}, "www.example.org"); got.Port != 0 || got.Domain != "www.example.org" {
			t.Errorf("of a domain: %+v", got)
		}
	})
}

// TestEnds: the first reset says why a visit has ended.
func TestEnds(t *testing.T) {
	t.Parallel()
	for want, do := range map[string]func(bytestream.Stream, *fakeStream){
		"closed": func(s bytestream.Stream, f *fakeStream) {
			f.readErr = io.EOF
			s.Read(nil)
			s.Watch(func(bool) {})
			f.watching(false)
		},
		"client": func(s bytestream.Stream, f *fakeStream) {
			s.Watch(func(bool) {})
			f.watching(true)
			s.Discard(framing.ErrorRelayReset)
		},
		"node": func(s bytestream.Stream, f *fakeStream) {
			s.Reset(framing.ErrorRelayReset)
			f.readErr = new(bytestream.ResetError)
			s.Read(nil)
		},
		"refused": func(s bytestream.Stream, _ *fakeStream) {
			s.Discard(framing.ErrorUpstreamRefused)
			s.Discard(framing.ErrorRelayReset)
		},
		"memory": func(s bytestream.Stream, _ *fakeStream) { s.Discard(framing.ErrorRelayStalled) },
		"away":   func(s bytestream.Stream, f *fakeStream) { f.readErr = bytestream.ErrLost; s.Read(nil) },
	} {
		under := new(fakeStream)
		s, v := Of(under, listening())
		do(s, under)
		if got := v.Ended(&framing.StreamHeader{}, "").End; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	under := &fakeStream{readErr: &bytestream.ResetError{}}
	s, v := Of(under, listening())
	if _, err := s.Read(nil); !errors.Is(err, under.readErr) || v.Ended(&framing.StreamHeader{}, "").End != "client" {
		t.Error("a reset of the visitor")
	}
}

// TestNothingUnasked: while nobody is told, a stream is what it was.
func TestNothingUnasked(t *testing.T) {
	under := bytestream.Stream(new(fakeStream))
	off := new(access.Outlet)
	if n := testing.AllocsPerRun(1000, func() {
		for _, to := range []*access.Outlet{nil, off} {
			if s, v := Of(under, to); s != under || v != nil {
				t.Error("something is made")
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
