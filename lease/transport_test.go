package lease

import "testing"

func TestTransport(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		transport Transport
		text      string
		tcp, udp  bool
	}{{TCP, "tcp", true, false}, {UDP, "udp", false, true}, {TCPAndUDP, "tcp+udp", true, true}} {
		if test.transport.HasTCP() != test.tcp || test.transport.HasUDP() != test.udp {
			t.Errorf("%v has TCP: %v, UDP: %v", test.transport, test.transport.HasTCP(), test.transport.HasUDP())
		}
		text, err := test.transport.MarshalText()
		if err != nil || string(text) != test.text {
			t.Errorf("%d is written %q, %v", test.transport, text, err)
		}
		var again Transport
		if err := again.UnmarshalText(text); err != nil || again != test.transport {
			t.Errorf("%q is read as %v, %v", text, again, err)
		}
	}
	for _, text := range []string{"", "TCP", "udp+tcp", "quic", "3"} {
		transport := UDP
		if err := transport.UnmarshalText([]byte(text)); err == nil || transport != UDP {
			t.Errorf("%q is read as %v, %v", text, transport, err)
		}
	}
	if text, err := Transport(3).MarshalText(); err == nil {
		t.Errorf("3 is written %q", text)
	}
}
