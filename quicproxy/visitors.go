package quicproxy

import (
	"fmt"
	"net/netip"
	"strings"
)

// Visitors says who may visit a service, and how much. All of it must hold. The zero value lets everybody.
type Visitors struct {
	// Allow and Deny are networks whose visitors may come, and may not; Deny goes first. An empty Allow means all.
	Allow, Deny []netip.Prefix
	// AllowCountries and DenyCountries are the same for countries, as ISO 3166-1 alpha-2 codes.
	AllowCountries, DenyCountries []string
	// PerAddress is how many connections one address, or /64, may have at once, and Rate how many new ones per second;
	// 0: no limit of its own. Larger networks may have up to four times as many.
	PerAddress, Rate int
	// BytesIn and BytesOut are bytes per second from all visitors together, and to them; 0: no limit.
	BytesIn, BytesOut int64
}

// Refused counts visitors of a service that were refused, by reason.
type Refused struct {
	Networks    uint64 `json:"networks,omitempty"`    // their network may not visit
	Countries   uint64 `json:"countries,omitempty"`   // their country may not visit
	Connections uint64 `json:"connections,omitempty"` // their address had as many connections as it may have
	Rate        uint64 `json:"rate,omitempty"`        // their address connected more often than it may
	Datagrams   uint64 `json:"datagrams,omitempty"`   // dropped: there were more bytes per second than there may be
	Month       uint64 `json:"month,omitempty"`       // the node had used up the bytes that it may have in a month; also datagrams
}

// String is for people; empty: nobody was refused.
func (r Refused) String() string {
	var parts []string
	for _, reason := range []struct {
		n    uint64
		what string
	}{
		{r.Networks, "by network"}, {r.Countries, "by country"}, {r.Connections, "too many at once"},
		{r.Rate, "too fast"}, {r.Datagrams, "datagrams"}, {r.Month, "with the bytes of the month used up"},
	} {
		if reason.n > 0 {
			parts = append(parts, fmt.Sprint(reason.n, " ", reason.what))
		}
	}
	return strings.Join(parts, ", ")
}
