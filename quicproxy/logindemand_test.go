package quicproxy_test

import (
	"io"
	"strings"
	"testing"

	"apquic/framing"
)

// TestLoginDemanded: where the server has visitors log in, a service whose HTTP it does not end gets nothing, whatever
// its name is, and the port beside a name is closed to visitors; a password is asked for once.
func TestLoginDemanded(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		e, termination := w.withTermination(t)
		e.demands = true
		server := w.startServer(termination)
		w.serveHTTP(plainWeb, nil)
		long := strings.Repeat("a", 60) // too long for a name below the server's own
		node := w.startNode(exposeEnded("pass", plainWeb, "secret.example.org", 1), exposeEnded("bytes", plainWeb, "secret.example.org", 3),
			exposeEnded("port", plainWeb, "", 0), exposeEnded(long, plainWeb, "", 2), exposeEnded("both", "tcp+udp://"+plainWeb, "", 2))
		for i := range 5 {
			if f := refusalOf(t, node, i); f.Code != framing.ErrorLoginDemanded || !strings.Contains(f.Advice, `"terminate"`) {
				t.Errorf("service %d: %+v", i, f)
			}
		}
		if leases := server.server.Status().Leases; len(leases) != 0 {
			t.Errorf("leased is %v", leases)
		}
		node.stop()

		node = w.startNode(exposeEnded("web", plainWeb, "", 2), exposeEnded("ended", plainWeb, "secret.example.org", 2))
		granted := node.leases.wait(t, 2)
		var port string
		for _, l := range granted {
			if l.Service == "web" {
				port = l.PublicAddress[strings.LastIndex(l.PublicAddress, ":")+1:]
			}
		}
		own := "web-" + shortOf(w.nodeKey) + ".tunnel.example.org"
		for _, name := range []string{own, "secret.example.org"} {
			if status, body := fetch(t, w.browser(true), "https://"+name+"/"); status != 200 {
				t.Errorf("%s: %d %q", name, status, body)
			}
		}
		c := w.visit(port)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+own+"\r\n\r\n")
		if got, err := io.ReadAll(c); len(got) > 0 {
			t.Errorf("the port: %q, %v", got, err)
		}
		node.stop()

		asks := func(c *NodeConfig) {
			for i := range c.Services {
				c.Services[i].AsksPassword = true
			}
		}
		node = w.startNode(exposeEnded("ended", plainWeb, "secret.example.org", 2), asks)
		node.leases.wait(t, 1)
		node.stop()
		e.password = true
		node = w.startNode(exposeEnded("ended", plainWeb, "secret.example.org", 2), asks)
		if f := refusalOf(t, node, 0); f.Code != framing.ErrorLoginDemanded || !strings.Contains(f.Text, "only one") {
			t.Errorf("two passwords: %+v", f)
		}
	})
}
