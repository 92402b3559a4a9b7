//go:build linux

// Package chromium drives a real browser in tests, by the WebDriver protocol and, where that says too little, by the
// protocol of its developer tools. It needs the programs chromium and chromedriver.
//
// Only tests may import it.
package chromium

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// MaxWait is how long a page may take to show something.
	MaxWait = 30 * time.Second
	step    = 50 * time.Millisecond
)

// Browser is one with a page.
type Browser struct {
	t       testing.TB
	session string // its URL
}

var started = regexp.MustCompile(`started successfully on port (\d+)`)

// Start starts a browser that ends with the test; arguments are more ones of its command line. Without a chromedriver the
// test is skipped.
func Start(t testing.TB, arguments ...string) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromedriver")
	if err != nil {
		t.Skip("chromium-driver is missing")
	}
	driver := exec.Command(path, "--port=0")
	driver.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it ends with its browser
	stdout, err := driver.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	if err := driver.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-driver.Process.Pid, syscall.SIGKILL)
		driver.Wait()
	})
	b := &Browser{t, "http://127.0.0.1:" + portOf(t, bufio.NewScanner(stdout)) + "/session"}
	options := map[string]any{
		"goog:chromeOptions": map[string]any{"args": append([]string{
			"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900", "--user-data-dir=" + profile, // root has no sandbox
		}, arguments...)},
		"goog:loggingPrefs": map[string]string{"browser": "ALL", "performance": "ALL"},
	}
	var made struct{ SessionID string }
	b.call("POST", "", map[string]any{"capabilities": map[string]any{"alwaysMatch": options}}, &made)
	b.session += "/" + made.SessionID
	t.Cleanup(func() { b.try("DELETE", "", map[string]any{}, nil) })
	return b
}

// portOf is the one on which the driver says that it listens.
func portOf(t testing.TB, lines *bufio.Scanner) string {
	for lines.Scan() {
		if found := started.FindStringSubmatch(lines.Text()); found != nil {
			return found[1]
		}
	}
	t.Fatal("chromedriver does not start")
	return ""
}

// call is one command of WebDriver.
func (b *Browser) call(method, path string, body, result any) {
	b.t.Helper()
	if err := b.try(method, path, body, result); err != nil {
		b.t.Fatal(err)
	}
}

func (b *Browser) try(method, path string, body, result any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, b.session+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %.300s", method, path, answer.Value)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, result)
}

// Open loads a page.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.call("POST", "/url", map[string]string{"url": url}, nil)
}

// element is the part of the page that a CSS selector finds, once there is one.
func (b *Browser) element(selector string) string {
	b.t.Helper()
	for end := time.Now().Add(MaxWait); ; time.Sleep(step) {
		var found map[string]string
		err := b.try("POST", "/element", map[string]string{"using": "css selector", "value": selector}, &found)
		for _, id := range found {
			if err == nil {
				return "/element/" + id
			}
		}
		if time.Now().After(end) {
			b.t.Fatalf("there is no %s: %v", selector, err)
		}
	}
}

// Write types a text into an input, instead of what is there.
func (b *Browser) Write(selector, text string) {
	b.t.Helper()
	input := b.element(selector)
	b.call("POST", input+"/clear", map[string]any{}, nil)
	b.call("POST", input+"/value", map[string]string{"text": text}, nil)
}

// Click clicks on something that is in sight, and not covered.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.call("POST", b.element(selector)+"/click", map[string]any{}, nil)
}

// Run runs a script in the page, and returns its result, a text.
func (b *Browser) Run(script string) (result string) {
	b.t.Helper()
	b.RunFor(script, &result)
	return result
}

// RunFor runs a script in the page and decodes its result into result. A promise is awaited.
func (b *Browser) RunFor(script string, result any) {
	b.t.Helper()
	b.call("POST", "/execute/sync", map[string]any{"script": script, "args": []any{}}, result)
}

// Text is what the page shows, after its address; empty while one page replaces another.
func (b *Browser) Text() (text string, err error) {
	err = b.try("POST", "/execute/sync", map[string]any{"script": "return document.body ? location.href + ' ' + document.body.innerText : ''", "args": []any{}}, &text)
	return text, err
}

// Shows waits until the page has a text.
func (b *Browser) Shows(want string) {
	b.t.Helper()
	b.await(want, true)
}

// Hides waits until the page no longer has a text.
func (b *Browser) Hides(text string) {
	b.t.Helper()
	b.await(text, false)
}

func (b *Browser) await(text string, there bool) {
	b.t.Helper()
	for end := time.Now().Add(MaxWait); ; time.Sleep(step) {
		got, err := b.Text()
		if err == nil && got != "" && strings.Contains(got, text) == there {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("the page has %q, %v, want %q there: %t", got, err, text, there)
		}
	}
}

// Until waits until an expression in the page is true.
func (b *Browser) Until(expression string) {
	b.t.Helper()
	for end := time.Now().Add(MaxWait); ; time.Sleep(step) {
		var got bool
		err := b.try("POST", "/execute/sync", map[string]any{"script": "return Boolean(" + expression + ")", "args": []any{}}, &got)
		if err == nil && got {
			return
		}
		if time.Now().After(end) {
			text, _ := b.Text()
			b.t.Fatalf("it does not become true: %s: %v; the page has %q", expression, err, text)
		}
	}
}

// Press presses keys one after the other where the focus is, in the characters of WebDriver.
func (b *Browser) Press(keys string) {
	b.t.Helper()
	var actions []map[string]string
	for _, key := range keys {
		actions = append(actions, map[string]string{"type": "keyDown", "value": string(key)}, map[string]string{"type": "keyUp", "value": string(key)})
	}
	b.call("POST", "/actions", map[string]any{"actions": []any{map[string]any{"type": "key", "id": "keys", "actions": actions}}}, nil)
}

// Keys for Press.
const (
	Tab    = "\ue004"
	Enter  = "\ue007"
	Escape = "\ue00c"
	Space  = "\ue00d"
)

// Tool calls a method of the developer tools.
func (b *Browser) Tool(method string, parameters map[string]any, result any) {
	b.t.Helper()
	if parameters == nil {
		parameters = map[string]any{}
	}
	b.call("POST", "/goog/cdp/execute", map[string]any{"cmd": method, "params": parameters}, result)
}

// Screenshot is a picture of what is in sight, as a PNG image.
func (b *Browser) Screenshot() []byte {
	b.t.Helper()
	var picture struct{ Data []byte }
	b.Tool("Page.captureScreenshot", map[string]any{"format": "png"}, &picture)
	return picture.Data
}

// Line is one of a log of the browser.
type Line struct {
	Level, Source, Message string
}

// Console returns what was written to the console since the last call, also by the browser itself.
func (b *Browser) Console() (lines []Line) {
	b.t.Helper()
	b.call("POST", "/se/log", map[string]string{"type": "browser"}, &lines)
	return lines
}

// Requests returns the URLs that pages asked for since the last call, without those of the browser's own first page.
func (b *Browser) Requests() (urls []string) {
	b.t.Helper()
	var lines []Line
	b.call("POST", "/se/log", map[string]string{"type": "performance"}, &lines)
	for _, line := range lines {
		var entry struct {
			Message struct {
				Method string
				Params struct{ Request struct{ URL string } }
			}
		}
		if err := json.Unmarshal([]byte(line.Message), &entry); err != nil {
			b.t.Fatal(err)
		}
		if url := entry.Message.Params.Request.URL; entry.Message.Method == "Network.requestWillBeSent" && !strings.HasPrefix(url, "chrome:") {
			urls = append(urls, url)
		}
	}
	return urls
}
