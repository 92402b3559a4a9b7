package udp

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/net/ipv4"
)

func TestTake(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		length, segment int
		want            []int
	}{
		{0, 0, nil},
		{1, 0, []int{1}},
		{1452, 0, []int{1452}},
		{1453, 0, nil},
		{100, 100, []int{100}},
		{100, 200, []int{100}},
		{3600, 1200, []int{1200, 1200, 1200}},
		{3601, 1200, []int{1200, 1200, 1200, 1}},
		{3599, 1200, []int{1200, 1200, 1199}},
		{30000, 1250, slices.Repeat([]int{1250}, 24)},
		{64, 1, slices.Repeat([]int{1}, 64)},
		{3000, 1500, nil},
		{3010, 1500, []int{10}},
	} {
		for _, room := range []int{1, 2, 8, 100} {
			t.Run(fmt.Sprint(test.length, "/", test.segment, " to ", room), func(t *testing.T) {
				t.Parallel()
				testTake(t, test.length, test.segment, room, test.want)
			})
		}
	}
}

// testTake takes a message between two others.
func testTake(t *testing.T, length, segment, room int, want []int) {
	data := make([]byte, length)
	for i := range data {
		data[i] = byte(i / max(segment, 1))
	}
	first, last := []byte("first"), []byte("last")
	b := &batch{messages: []message{{data: first}, {data: data, segment: segment, control: []byte("control")}, {data: last}}}
	ms := make([]ipv4.Message, room)
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 1452)}, OOB: make([]byte, 10)}
	}
	var got [][]byte
	for len(b.messages) > 0 {
		n := b.take(ms)
		for _, m := range ms[:n] {
			datagram := bytes.Clone(m.Buffers[0][:m.N])
			got = append(got, datagram)
			if control := string(m.OOB[:m.NN]); (control == "control") == (len(got) == 1 || bytes.Equal(datagram, last)) {
				t.Errorf("datagram %d has the control messages %q", len(got), control)
			}
		}
	}
	if len(got) != len(want)+2 || !bytes.Equal(got[0], first) || !bytes.Equal(got[len(got)-1], last) {
		t.Fatalf("%d datagrams", len(got))
	}
	at := 0
	for i, datagram := range got[1 : len(got)-1] {
		if len(datagram) != want[i] {
			t.Errorf("datagram %d has %d bytes, want %d", i, len(datagram), want[i])
		}
		if segment <= 1452 && !bytes.Equal(datagram, data[at:at+len(datagram)]) {
			t.Errorf("datagram %d is something else", i)
		}
		at += len(datagram)
	}
}

func TestTakeLeavesOutControl(t *testing.T) {
	t.Parallel()
	b := &batch{messages: []message{{data: []byte("x"), control: make([]byte, 129)}}}
	ms := []ipv4.Message{{Buffers: [][]byte{make([]byte, 10)}, OOB: make([]byte, 128), NN: 128}}
	if n := b.take(ms); n != 1 || ms[0].NN != 0 {
		t.Errorf("%d datagrams, %d bytes of control messages", n, ms[0].NN)
	}
}
