// Package foreign recognises the files of other programs, so that one mistake is reported instead of one for each key.
//
// It must not read their settings.
package foreign

import (
	"errors"
	"regexp"

	"apquic/internal/hint"
	"apquic/internal/settings/internal/jsonc"
)

// text matches a file of frp in one of its text formats, TOML or INI.
var text = regexp.MustCompile(`(?m)^\s*(\[common\]|\[\[proxies\]\]|(serverAddr|server_addr|bindPort|bind_port)\s*=)`)

// Err is reported instead of a mistake for every key.
var Err error = hint.Add(errors.New("this is a file for frp, not for apquic"),
	"a node needs two lines, which docs/config.md shows: \"server\" with the invitation, and \"services\" such as {\"web\": \"127.0.0.1:80\"}")

// Text finds the place in a file that is not JSON which says that it is one of frp's.
func Text(data []byte) (offset int, err error) {
	if place := text.FindIndex(data); place != nil {
		return place[0], Err
	}
	return 0, nil
}

// JSON reports whether a JSON file is one of frp's.
func JSON(root jsonc.Value) bool {
	for key := range root.All() {
		switch key {
		case "serverAddr", "proxies", "bindPort", "visitors", "common":
			return true
		}
	}
	return false
}
