package notices

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"apquic/internal/events"
	"apquic/internal/hint"
)

// maxText and maxValue bound the text of a message for people, and what stands for a placeholder, in bytes.
const maxText, maxValue = 500, 1 << 10

// message is what a receiver is told.
type message struct {
	event   events.Event
	derived bool   // it follows from the event, rather than is it
	missed  uint64 // of its name that were not told since the last one

	stranger bool // it is about a node that is not known
}

// sender is who tells.
type sender struct{ program, host string }

// id differs from that of all other messages, but not between tries.
func (m message) id() string {
	id := strconv.FormatUint(m.event.ID, 10)
	if m.derived {
		id += "-" + m.event.Name
	}
	return id
}

// text says what happened in a line. What it says may come from strangers.
func (m message) text() string {
	var parts []string
	for key, value := range m.event.Members() {
		if key != "event" && value != "" {
			parts = append(parts, key+"="+value)
		}
	}
	text := m.event.Message
	if text == "audit" {
		text = m.event.Name
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	if m.missed > 0 {
		text += "; " + strconv.FormatUint(m.missed, 10) + " more before"
	}
	return hint.Printable(text, maxText)
}

// value is what stands for a placeholder.
func (m message) value(name string, from sender) string {
	text := ""
	switch name {
	case "event":
		text = m.event.Name
	case "id":
		text = m.id()
	case "time":
		text = m.event.Time.Format(time.RFC3339)
	case "level":
		text = m.event.Level
	case "message":
		text = m.event.Message
	case "text":
		text = m.text()
	case "program":
		text = from.program
	case "host":
		text = from.host
	case "missed":
		text = strconv.FormatUint(m.missed, 10)
	default:
		wanted := strings.TrimPrefix(name, attribute)
		for key, value := range m.event.Members() {
			if key == wanted {
				text = value
			}
		}
	}
	return hint.Printable(text, maxValue)
}

// json is the whole message, as docs/howto/notices.md says.
func (m message) json(from sender) []byte {
	body, _ := json.Marshal(struct { // attributes are JSON already
		Event      string          `json:"event"`
		ID         string          `json:"id"`
		Time       time.Time       `json:"time"`
		Level      string          `json:"level"`
		Message    string          `json:"message"`
		Text       string          `json:"text"`
		Attributes json.RawMessage `json:"attributes"`
		Program    string          `json:"program"`
		Host       string          `json:"host"`
		Missed     uint64          `json:"missed,omitempty"`
	}{m.event.Name, m.id(), m.event.Time, m.event.Level, m.event.Message, m.text(), m.event.Attributes, from.program, from.host, m.missed})
	return body
}
