package events

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// maxLine bounds a line of a stream: JSON may take six bytes for one.
const maxLine = 16 * maxEvent

// Read calls do with each event of a stream of them, and missed with the number of those that are no longer kept,
// until the stream ends or one of them fails.
func Read(from io.Reader, do func(Event) error, missed func(uint64) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	kind := ""
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "": // the end of an event, or a comment
			kind = ""
		case "event":
			kind = value
		case "data":
			if err := take(kind, value, do, missed); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

func take(kind, data string, do func(Event) error, missed func(uint64) error) (err error) {
	var e Event
	var m Missed
	switch kind {
	case "":
		err = json.Unmarshal([]byte(data), &e)
	case "missed":
		err = json.Unmarshal([]byte(data), &m)
	default:
		return nil // of a newer version
	}
	switch {
	case err != nil:
		return fmt.Errorf("an event of the stream: %w", err)
	case kind == "":
		return do(e)
	}
	return missed(m.Missed)
}
