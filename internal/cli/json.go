package cli

import (
	"encoding/json"
	"io"
)

// WriteJSON writes what a command with --json prints, indented for people who look at it.
func WriteJSON(w io.Writer, what any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(what)
}
