package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"apquic/internal/events"
	"apquic/internal/hint"
)

// sentence is an event in a line for people.
func sentence(e events.Event) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s  %s", e.Time.Local().Format(time.TimeOnly), e.Message)
	fields := json.NewDecoder(bytes.NewReader(e.Attributes))
	fields.Token() // the brace
	for fields.More() {
		name, err := fields.Token()
		var value any
		if err != nil || fields.Decode(&value) != nil {
			break
		}
		fmt.Fprintf(&text, "  %v=%v", name, value)
	}
	return hint.Printable(text.String(), 0)
}
