package settings

import (
	"errors"
	"regexp"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/jsonc"
)

// foreignText matches a file of frp in one of its text formats, TOML or INI.
var foreignText = regexp.MustCompile(`(?m)^\s*(\[common\]|\[\[proxies\]\]|(serverAddr|server_addr|bindPort|bind_port)\s*=)`)

// errForeign is reported instead of a mistake for every key.
var errForeign error = hint.Add(errors.New("this is a file for frp, not for apquic"),
	"a node needs two lines, which docs/config.md shows: \"server\" with the invitation, and \"services\" such as {\"web\": \"127.0.0.1:80\"}")

// foreign finds the place in a file that is not JSON which says that it is one of frp's.
func foreign(data []byte) (offset int, err error) {
	if place := foreignText.FindIndex(data); place != nil {
		return place[0], errForeign
	}
	return 0, nil
}

// isForeign reports whether a JSON file is one of frp's.
func isForeign(root jsonc.Value) bool {
	for key := range root.All() {
		switch key {
		case "serverAddr", "proxies", "bindPort", "visitors", "common":
			return true
		}
	}
	return false
}
