package notices

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"apquic/internal/events"
	"apquic/internal/hint"
	"apquic/internal/suggest"
)

const (
	// DefaultAfter and DefaultPerHour are what holds if a Notice does not say.
	DefaultAfter   = 5 * time.Minute
	DefaultPerHour = 20
	// maxPerHour bounds PerHour, maxNotices the notices of a program, maxArguments those of a command, maxHeaders those of
	// a request, and maxTemplate a Body in bytes.
	maxPerHour, maxNotices, maxArguments, maxHeaders, maxTemplate = 600, 16, 32, 16, 4 << 10
)

// Notice says which events are told, and to whom: to a web server or a command.
type Notice struct {
	Events  []string      // their names
	After   time.Duration // how long somebody must have been away for node-away or server-away
	PerHour int           // how often an event of each name is told, at most

	Webhook
	Command []string // an absolute path and arguments; empty: a Webhook
}

// Webhook is an HTTP request.
type Webhook struct {
	URL, URLFile string            // one of them; the file has it in its only line
	Method       string            // POST or PUT
	Headers      map[string]string // nothing secret
	HeadersFile  string            // lines such as Authorization: Bearer SECRET
	Body         string            // with placeholders; empty: the event as JSON
	JSON         bool              // Body is JSON rather than text
}

// failed is the event of a notice that was not delivered. It cannot be told, or one would lead to the next.
const failed = "notice-failed"

// Check returns what is wrong with the notices of a program. Errors have nothing secret.
func Check(all []Notice) error {
	if len(all) > maxNotices {
		return fmt.Errorf("there are %d notices, of %d at most", len(all), maxNotices)
	}
	for i, n := range all {
		if err := n.Check(); err != nil {
			return fmt.Errorf("notices[%d]: %w", i, err)
		}
	}
	return nil
}

// Check returns what is wrong with a notice.
func (n Notice) Check() error {
	ways := 0
	for _, given := range []bool{n.URL != "", n.URLFile != "", len(n.Command) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case len(n.Events) == 0:
		return hint.Add(errors.New("it has no events"), `name some, such as "events": ["node-away", "join"]; docs/events.md lists them`)
	case ways != 1:
		return errors.New("a notice has a url, a urlFile or a command, and only one of them")
	case n.After < time.Second || n.After > 7*24*time.Hour:
		return fmt.Errorf("after is %v, and must be from 1s to 7 days", n.After)
	case n.PerHour < 1 || n.PerHour > maxPerHour:
		return fmt.Errorf("perHour is %d, and must be from 1 to %d", n.PerHour, maxPerHour)
	case len(n.Command) > 0 && (n.Body != "" || n.Method != "" || n.HeadersFile != "" || len(n.Headers) > 0):
		return errors.New("method, headers, headersFile and body are for a url: a command gets the event on stdin and in its environment")
	case len(n.Command) > maxArguments:
		return fmt.Errorf("the command has %d arguments, of %d at most", len(n.Command), maxArguments)
	case len(n.Command) > 0 && !filepath.IsAbs(n.Command[0]):
		return hint.Add(errors.New("the command is no absolute path"), `write "command": ["/usr/local/bin/notify"]; for a line of a shell: ["/bin/sh", "-c", "..."]`)
	}
	for _, name := range n.Events {
		if err := checkEvent(name); err != nil {
			return err
		}
	}
	return n.Webhook.check()
}

func checkEvent(name string) error {
	switch known := events.Names(); {
	case name == failed:
		return errors.New("the failure of a notice cannot be told by a notice: it is in the log")
	case slices.Contains(known, name):
		return nil
	default:
		text := fmt.Sprintf("there is no event %s", hint.Readable(name))
		if meant := suggest.Nearest(name, known); meant != "" {
			text += ", did you mean " + meant + "?"
		}
		return hint.Add(errors.New(text), "docs/events.md lists all")
	}
}

func (w Webhook) check() error {
	if w.URL != "" {
		if err := checkURL(w.URL); err != nil {
			return err
		}
	}
	if len(w.Headers) > maxHeaders {
		return fmt.Errorf("there are %d headers, of %d at most", len(w.Headers), maxHeaders)
	}
	for name, value := range w.Headers {
		if err := checkHeader(name, value); err != nil {
			return err
		}
	}
	if len(w.Body) > maxTemplate {
		return fmt.Errorf("the body has %d bytes, of %d at most", len(w.Body), maxTemplate)
	}
	return checkPlaceholders("body", w.Body, placeholders)
}

// checkURL checks a URL without repeating it.
func checkURL(text string) error {
	if err := checkPlaceholders("url", text, []string{"id"}); err != nil {
		return err
	}
	u, err := url.Parse(expand(text, func(string) string { return "1" }))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New(`the url is none; want one such as "https://ntfy.sh/my-topic"`)
	}
	return nil
}

// checkHeader checks a field of a request without repeating its value.
func checkHeader(name, value string) error {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	if name == "" || strings.ContainsFunc(name, odd) {
		return errors.New(`a header has no name such as "Authorization"`)
	}
	if slices.Contains([]string{"host", "content-length", "transfer-encoding", "connection", "trailer", "upgrade"}, strings.ToLower(name)) {
		return fmt.Errorf("the header %s is HTTP's own", name)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("the value of the header %s has control characters", name)
	}
	return nil
}

// To says where the notice goes, without secrets: a path and a query may have some.
func (n Notice) To() string {
	switch {
	case len(n.Command) > 0:
		return n.Command[0]
	case n.URLFile != "":
		return "the URL in " + n.URLFile
	}
	u, err := url.Parse(expand(n.URL, func(string) string { return "1" }))
	if err != nil {
		return "a URL"
	}
	return u.Scheme + "://" + u.Host
}

// Describe says what is told to whom, for people, without secrets.
func (n Notice) Describe() string {
	text := strings.Join(n.Events, ", ")
	if slices.Contains(n.Events, events.NodeAway) || slices.Contains(n.Events, events.ServerAway) {
		text += fmt.Sprintf(" (after %v)", n.After)
	}
	return fmt.Sprintf("%s to %s, each %d times an hour at most", text, n.To(), n.PerHour)
}
