package e2e

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// printedJSON checks that what was printed last is one JSON value, with these members.
func printedJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: json [PATH[=VALUE]]...")
	}
	var printed any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &printed); err != nil {
		ts.Fatalf("stdout is not JSON: %v", err)
	}
	for _, arg := range args {
		path, want, valued := strings.Cut(arg, "=")
		at := printed
		for name := range strings.SplitSeq(path, ".") {
			members, _ := at.(map[string]any)
			at = members[name]
		}
		if got := fmt.Sprint(at); at == nil || valued && got != want {
			ts.Fatalf("%s is %v", arg, at)
		}
	}
}
