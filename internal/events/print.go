package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"apquic/internal/hint"
)

// Print prints an event in a line, for people.
func (e Event) Print(w io.Writer, zone *time.Location) error {
	line := fmt.Sprintf("%s  %-17s", e.Time.In(zone).Format("2006-01-02 15:04:05"), hint.Printable(e.Name, 0))
	if e.Name == other {
		line += "  " + hint.Printable(e.Message, 0)
	}
	for key, value := range members(e.Attributes) {
		line += "  " + hint.Printable(key, 0) + "=" + hint.Printable(value, 0)
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(line, " "))
	return err
}

// Members yields the attributes as texts, in their order.
func (e Event) Members() iter.Seq2[string, string] { return members(e.Attributes) }

// members yields those of a JSON object, in their order.
func members(object json.RawMessage) iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		decoder := json.NewDecoder(bytes.NewReader(object))
		decoder.Token() // {
		for decoder.More() {
			var value json.RawMessage
			key, err := decoder.Token()
			if err != nil || decoder.Decode(&value) != nil {
				return
			}
			var text string
			if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			if !yield(fmt.Sprint(key), text) {
				return
			}
		}
	}
}
