package notices

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"apquic/internal/hint"
)

const (
	// hookTimeout bounds a request with its answer, and maxAnswer the head of that in bytes; its body is not read.
	hookTimeout = 10 * time.Second
	maxAnswer   = 16 << 10
	// maxSecret is how long a file with a URL or headers may be, in bytes.
	maxSecret = 4 << 10
)

// permanent is an error that another try would not mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// destination is where a Webhook goes, with what its files say. Nothing of it may be logged.
type destination struct {
	url    string
	header http.Header
}

// readDestination reads the files of w.
func readDestination(w Webhook) (d destination, err error) {
	d.url, d.header = w.URL, make(http.Header)
	if w.URLFile != "" {
		if d.url, err = readSecret("urlFile", w.URLFile); err != nil {
			return d, err
		}
		if err := checkURL(d.url); err != nil {
			return d, fmt.Errorf("urlFile %s: %w", w.URLFile, err)
		}
	}
	d.header.Set("User-Agent", "apquic")
	d.header.Set("Content-Type", "application/json")
	if w.Body != "" && !w.JSON {
		d.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	for name, value := range w.Headers {
		d.header.Set(name, value)
	}
	if w.HeadersFile == "" {
		return d, nil
	}
	text, err := readSecret("headersFile", w.HeadersFile)
	if err != nil {
		return d, err
	}
	lines := strings.Split(text, "\n")
	if len(lines) > maxHeaders {
		return d, fmt.Errorf("headersFile %s has %d lines, of %d at most", w.HeadersFile, len(lines), maxHeaders)
	}
	for i, line := range lines {
		name, value, found := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found {
			return d, fmt.Errorf("headersFile %s, line %d, is no header such as Authorization: Bearer SECRET", w.HeadersFile, i+1)
		}
		if err := checkHeader(name, value); err != nil {
			return d, fmt.Errorf("headersFile %s, line %d: %w", w.HeadersFile, i+1, err)
		}
		d.header.Set(name, value)
	}
	return d, nil
}

func readSecret(key, file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	secret := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", key, err)
	case len(text) > maxSecret:
		return "", fmt.Errorf("%s: %s has more than %d bytes", key, file, maxSecret)
	case secret == "":
		return "", fmt.Errorf("%s: %s is empty", key, file)
	}
	return secret, nil
}

// hook sends messages to a web server.
type hook struct {
	Webhook
	destination
	client *http.Client
	from   sender
}

func newHook(w Webhook, d destination, from sender) *hook {
	return &hook{Webhook: w, destination: d, from: from, client: &http.Client{
		Timeout: hookTimeout,
		// Wherever else a server points, it gets neither the event nor the headers.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxAnswer, // nothing stays between notices
		},
	}}
}

// send makes one try.
func (h *hook) send(ctx context.Context, m message) error {
	target := expand(h.url, func(name string) string { return url.PathEscape(m.value(name, h.from)) })
	method := http.MethodPost
	if h.Method != "" {
		method = h.Method
	}
	request, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(h.body(m)))
	if err != nil {
		return permanent{errors.New("the URL cannot be used")}
	}
	request.Header = h.header.Clone()
	response, err := h.client.Do(request)
	if err != nil {
		return safe(err)
	}
	response.Body.Close()
	return judge(response.StatusCode)
}

func (h *hook) body(m message) string {
	if h.Body == "" {
		return string(m.json(h.from))
	}
	return expand(h.Body, func(name string) string {
		if h.JSON {
			return inJSON(m.value(name, h.from))
		}
		return m.value(name, h.from)
	})
}

// judge says what a status means.
func judge(status int) error {
	switch err := fmt.Errorf("the answer is %d %s", status, http.StatusText(status)); {
	case status >= 200 && status < 300:
		return nil
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return err
	case status >= 300 && status < 400:
		return permanent{hint.Add(err, "redirects are not followed: give the URL to which this one leads")}
	default:
		return permanent{err}
	}
}

// safe is an error of a request without its URL, and without control characters of the server's.
func safe(err error) error {
	if of, ok := errors.AsType[*url.Error](err); ok {
		if of.Timeout() {
			return fmt.Errorf("no answer within %v", hookTimeout)
		}
		err = of.Err
	}
	return errors.New(hint.Printable(err.Error(), 200))
}
