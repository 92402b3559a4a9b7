package notices

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"apquic/internal/hint"
)

// attribute begins the placeholder of an attribute of an event, as in {attributes.name}.
const attribute = "attributes."

// placeholders are the names that may stand in braces in a body, beside attributes.
var placeholders = []string{"event", "id", "time", "level", "message", "text", "program", "host", "missed"}

var placeholder = regexp.MustCompile(`\{([A-Za-z]+|attributes\.[A-Za-z_-]+)\}`)

// expand replaces placeholders by what value returns for their names.
func expand(template string, value func(name string) string) string {
	return placeholder.ReplaceAllStringFunc(template, func(found string) string { return value(found[1 : len(found)-1]) })
}

// checkPlaceholders returns an error if there are others than known ones; attributes are only in a body.
func checkPlaceholders(where, template string, known []string) (err error) {
	expand(template, func(name string) string {
		if !slices.Contains(known, name) && !(where == "body" && strings.HasPrefix(name, attribute)) && err == nil {
			err = fmt.Errorf("{%s} in the %s is none of {%s}", hint.Readable(name), where, strings.Join(known, "}, {"))
			if where == "body" {
				err = fmt.Errorf("%w, {attributes.NAME}", err)
			}
		}
		return ""
	})
	return err
}

// inJSON is a text as it stands between quotes in JSON.
func inJSON(text string) string {
	quoted, _ := json.Marshal(text) // a text always can be
	return string(quoted[1 : len(quoted)-1])
}
