package settings

import (
	"errors"
	"regexp"

	"github.com/tailscale/hujson"

	"apquic/internal/hint"
)

// foreignText matches a file of frp in one of its text formats, TOML or INI.
var foreignText = regexp.MustCompile(`(?m)^\s*(\[common\]|\[\[proxies\]\]|(serverAddr|server_addr|bindPort|bind_port)\s*=)`)

// errForeign is reported instead of a mistake for every key.
var errForeign error = hint.Add(errors.New("this is a file for frp, not for apquic"),
	"a node needs two lines, which docs/config.md shows: \"server\" with the invitation, and \"services\" such as {\"web\": \"127.0.0.1:80\"}")

// isForeign reports whether a JSON file is one of frp's.
func (v value) isForeign() bool {
	object, ok := v.node.Value.(*hujson.Object)
	if !ok {
		return false
	}
	for _, member := range object.Members {
		switch member.Name.Value.(hujson.Literal).String() {
		case "serverAddr", "proxies", "bindPort", "visitors", "common":
			return true
		}
	}
	return false
}
