package visitors

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"apquic/framing"
	"apquic/quicproxy"
)

var some = quicproxy.Visitors{
	Allow: networks("192.0.2.0/24", "2001:db8::/32"), Deny: networks("192.0.2.7/32"),
	AllowCountries: []string{"DE", "AT"}, DenyCountries: []string{"FR"},
	PerAddress: 5, Rate: 10, BytesIn: 1 << 20, BytesOut: 1 << 40,
}

// TestMessage: rules arrive as they were sent.
func TestMessage(t *testing.T) {
	t.Parallel()
	for _, v := range []quicproxy.Visitors{{}, some, {Rate: 1}, {BytesOut: 1024}, {Deny: networks("0.0.0.0/0", "::/0")}} {
		data, err := proto.Marshal(&framing.ProxyRequest{Service: "web", Visitors: Message(v)})
		if err != nil {
			t.Fatal(err)
		}
		request := new(framing.ProxyRequest)
		if err := proto.Unmarshal(data, request); err != nil {
			t.Fatal(err)
		}
		got, err := Read(request.Visitors)
		if err != nil || !reflect.DeepEqual(Message(got), Message(v)) {
			t.Errorf("%+v arrived as %+v, %v", v, got, err)
		}
	}
	if Message(quicproxy.Visitors{}) != nil {
		t.Error("no rules are a message")
	}
}

// TestBadRules: what does not belong into rules is refused, and a list that is too long before it costs anything.
func TestBadRules(t *testing.T) {
	t.Parallel()
	many := func(n int, text string) (all []string) {
		for range n {
			all = append(all, text)
		}
		return all
	}
	for name, m := range map[string]*framing.VisitorRules{
		"an address":          {Allow: []string{"192.0.2.1"}},
		"bits beyond it":      {Allow: []string{"192.0.2.1/24"}},
		"mapped":              {Deny: []string{"::ffff:192.0.2.0/120"}},
		"a zone":              {Deny: []string{"fe80::%eth0/64"}},
		"nothing":             {Deny: []string{""}},
		"long":                {Deny: []string{strings.Repeat("0", 10_000) + "/8"}},
		"too many to allow":   {Allow: many(65, "192.0.2.0/24")},
		"too many to deny":    {Deny: many(1_000_000, "192.0.2.0/24")},
		"too many countries":  {AllowCountries: many(257, "DE")},
		"a small country":     {DenyCountries: []string{"de"}},
		"a long country":      {DenyCountries: []string{"DEU"}},
		"no country":          {DenyCountries: []string{""}},
		"too many at once":    {ClientsPerAddress: 1_000_001},
		"too fast":            {ClientRate: math.MaxUint32},
		"too few bytes":       {BytesIn: 1},
		"too many bytes":      {BytesOut: 1<<40 + 1},
		"as many as negative": {BytesOut: math.MaxUint64},
	} {
		if v, err := Read(m); err == nil || !reflect.DeepEqual(v, quicproxy.Visitors{}) {
			t.Errorf("%s: %+v, %v", name, v, err)
		} else if len(err.Error()) > 200 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
}

// FuzzRead: whatever is read keeps to the bounds, and means the same when it is sent again.
func FuzzRead(f *testing.F) {
	for _, v := range []quicproxy.Visitors{some, {Rate: 1}} {
		data, err := proto.Marshal(Message(v))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(framing.VisitorRules)
		if proto.Unmarshal(data, m) != nil {
			return
		}
		v, err := Read(m)
		if err != nil {
			return
		}
		if err := Check(v); err != nil {
			t.Fatalf("%+v: %v", v, err)
		}
		again, err := Read(Message(v))
		if err != nil || !reflect.DeepEqual(Message(again), Message(v)) {
			t.Fatalf("%+v becomes %+v, %v", v, again, err)
		}
		g := NewGate(v, nil)
		g.Set(again)
		for _, network := range v.Deny {
			if g.Admit(network.Addr()) != ErrNetwork {
				t.Fatalf("%v is admitted", network)
			}
		}
	})
}
