package groups

import (
	"errors"
	"strings"
	"testing"

	"apquic/certs"
	"apquic/framing"
	"apquic/lease"
	"apquic/quicproxy"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	garage, attic := certs.NodeID{1}, certs.NodeID{2}
	g, err := New(map[string][]string{"photos": {garage.String(), "attic"}, "empty": nil})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		group string
		node  certs.NodeID
		name  string
		ok    bool
	}{
		{"photos", garage, "", true},
		{"photos", garage, "whatever", true},
		{"photos", attic, "attic", true},
		{"photos", attic, "", false},
		{"photos", attic, "garage", false},
		{"photos", attic, garage.String(), false}, // the operator cannot give that name, but another Admitter may
		{"photos", certs.NodeID{}, "", false},
		{"empty", garage, "", false},
		{"none", garage, "", false},
		{"", garage, "", false},
	} {
		err := g.Check(test.group, test.node, test.name)
		if (err == nil) != test.ok {
			t.Errorf("%+v: %v", test, err)
		}
		if failure, ok := errors.AsType[*quicproxy.FailureError](err); err != nil && (!ok || failure.Code != framing.ErrorNotInGroup ||
			strings.Contains(failure.Text+failure.Advice, garage.String()) && test.node != garage && test.name != garage.String()) {
			t.Errorf("%+v: %+v", test, err)
		}
	}
	if !g.Has("empty") || g.Has("none") {
		t.Error("the groups are others")
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]map[string][]string{
		"name":   {"Photos": {"attic"}},
		"no":     {"": {"attic"}},
		"member": {"photos": {"the attic"}},
		"empty":  {"photos": {""}},
	} {
		if _, err := New(rules); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestHold: one at a time changes who offers the groups; ordinary leases wait for nobody.
func TestHold(t *testing.T) {
	t.Parallel()
	g, _ := New(nil)
	release := g.Hold(lease.Key{Service: "photos"})
	g.Hold(lease.Key{Node: certs.NodeID{1}, Service: "photos"})()
	held := make(chan struct{})
	go func() { g.Hold(lease.Key{Service: "mail"})(); close(held) }()
	select {
	case <-held:
		t.Error("two at once")
	default:
	}
	release()
	<-held
}
