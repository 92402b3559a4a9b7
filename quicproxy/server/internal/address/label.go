package address

import (
	"encoding/base32"
	"strings"

	"apquic/lease"
)

const (
	// idBytes is how much of a node's id is in the names of its services: 80 bits, of which nobody finds a second key
	// with the same ones, not even for any of 65536 nodes (2^64 keys).
	idBytes = 10
	// maxLabel is the longest label of a name in the DNS.
	maxLabel = 63
)

// shortID is the encoding of an id in names: letters and digits that all names may have.
var shortID = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Label is the first label of a service's name below the server's own domain; empty: it can have none.
func Label(key lease.Key) string {
	id := shortID.EncodeToString(key.Node[:idBytes])
	name := strings.NewReplacer(".", "-", "_", "-").Replace(key.Service)
	if len(name) >= 4 && name[2:4] == "--" || len(name)+1+len(id) > maxLabel {
		return "" // such as xn--, which stands for other letters
	}
	return name + "-" + id
}
