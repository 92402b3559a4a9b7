package login

import (
	"fmt"
	"html"
	"net/http"
)

// page answers with a page for people. More is HTML.
func page(w http.ResponseWriter, status int, title, text, more string) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html>\n<html lang=\"en\"><meta name=\"viewport\" content=\"width=device-width\"><title>%[1]s</title>\n<h1>%[1]s</h1>\n<p>%[2]s</p>\n%[3]s\n",
		html.EscapeString(title), html.EscapeString(text), more)
}
