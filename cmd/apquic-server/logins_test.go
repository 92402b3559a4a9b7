package main

import "testing"

// TestLoginsByName: the closest name counts; for a wildcard that of a service, all that it stands for.
func TestLoginsByName(t *testing.T) {
	t.Parallel()
	all := logins{"tv.home.example.org": {password: true}, "*.home.example.org": {}, "photos.example.org": {password: true}}
	for name, want := range map[string]*demand{
		"tv.home.example.org": all["tv.home.example.org"], "web.home.example.org": all["*.home.example.org"], "photos.example.org": all["photos.example.org"],
		"a.b.home.example.org": nil, "home.example.org": nil, "www.example.org": nil, "*.home.example.org": all["*.home.example.org"], "": nil,
	} {
		if got := all.at(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string][2]bool{
		"tv.home.example.org": {true, true}, "web.home.example.org": {true, false}, "*.home.example.org": {true, true}, "*.example.org": {true, true},
		"-.home.example.org": {true, false}, "www.example.org": {}, "*.example.com": {},
	} {
		if demanded, password := all.demanded(name); demanded != want[0] || password != want[1] {
			t.Errorf("%s: %v %v, want %v", name, demanded, password, want)
		}
	}
	all["*"] = &demand{}
	if all.at("www.example.org") != all["*"] || all.at("tv.home.example.org") == all["*"] {
		t.Error("* stands for all others")
	}
}
