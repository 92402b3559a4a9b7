//go:build linux

package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"apquic/framing"
)

// TestMetricsOfBadNames: neither the names that a node brings nor those in the owner's own file put a line of their own into what
// Prometheus reads.
func TestMetricsOfBadNames(t *testing.T) {
	d := doors(t)[0]
	key := newKey(t)
	file, err := os.OpenFile(filepath.Join(d.folder, "authorized_nodes"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(file, "%v bad\"} 1\\napquic_evil{x=\"\\\\\r\x1b[2J\u2028\n", key.ID())
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := join(t, invite(t, d.program, 1), key, &framing.Hello{Instance: 1})
	asked := make(map[uint64]bool)
	for _, name := range []string{"good", "bad\"} 1\napquic_evil 1\n", "bad\\", "bad\x00", "Bad", strings.Repeat("b", 65), ""} {
		asked[p.request(framing.OpProxyRequest, &framing.ProxyRequest{Service: name, OriginAddress: "tcp://h:1"})] = true
	}
	for len(asked) > 0 {
		delete(asked, p.read().RequestNonce)
	}
	answers, body := d.ask("127.0.0.1", d.get("/metrics", d.address, "Authorization: Bearer "+d.token+"\r\n"), 1)
	if len(answers) != 1 || answers[0] != 200 || !strings.Contains(body, `service="good"`) {
		t.Fatalf("%d %s", answers, body)
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) .*|[a-z_]+(\{([a-z_]+="([^"\\\n]|\\[\\"n])*",?)*\})? [-+0-9.eInfNa]+)$`)
	for text := range strings.Lines(body) {
		if text = strings.TrimSuffix(text, "\n"); !line.MatchString(text) || strings.HasPrefix(text, "apquic_evil") || strings.ContainsAny(text, "\r\x1b\u2028\x00") {
			t.Errorf("%q", text)
		}
	}
	if named := strings.Count(body, "apquic_evil"); named == 0 || named != strings.Count(body, `bad\"} 1`) {
		t.Errorf("a name is in %d places:\n%s", named, body)
	}
}
