package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"apquic/certs"
	"apquic/docs"
	"apquic/internal/events"
	"apquic/internal/totals"
	"apquic/internal/usage"
	"apquic/lease"
	"apquic/quicproxy"
	"apquic/quicproxy/live"
	"apquic/quicproxy/server"
	"apquic/rules"
)

// TestAnswersFitTheDocument: whatever the handlers answer is as docs/openapi.json says, and each field that it promises
// was seen.
func TestAnswersFitTheDocument(t *testing.T) {
	t.Parallel()
	d := &described{seen: make(map[string]bool)}
	if err := json.Unmarshal(docs.OpenAPI, &d.document); err != nil {
		t.Fatal(err)
	}
	full := newAuthority(t, fullCore(t), io.Discard)
	full.Version, full.Stop = "apquic-server test", func() {}
	full.Copy = func(context.Context) (LeaseCopy, error) { return LeaseCopy{"leases-1.db", 4, "totals-1.db"}, nil }
	kept := totals.Open(filepath.Join(t.TempDir(), "totals.db"), slog.New(slog.DiscardHandler))
	defer kept.Close()
	kept.Add(lease.Key{Node: nodeID(1), Service: "web"}, usage.Counts{In: 1, Out: 2, Connections: 3, Flows: 4, Refused: 5})
	kept.Add(lease.Key{Service: "photos"}, usage.Counts{In: 1})
	for i := range 66 {
		kept.Add(lease.Key{Node: nodeID(2), Service: fmt.Sprint("s", i)}, usage.Counts{Out: 1})
	}
	full.Totals = kept
	full.Logins = func() map[string]map[string]uint64 {
		return map[string]map[string]uint64{"blog.example.org": {"password": 1}}
	}
	full.Rules = func() (rules.Rules, rules.Limits) {
		return rules.Rules{{Name: "guests", Nodes: []string{"shed"}, Limits: rules.Limits{Protocols: rules.Limit[[]string]{Value: []string{"udp"}, By: "guests"}}}}, rules.Limits{}
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	key, err := certs.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	idle, err := server.New(server.Config{Key: key, PacketConn: conn})
	if err != nil {
		t.Fatal(err)
	}
	running := newAuthority(t, Running{idle}, io.Discard)
	for _, test := range []struct {
		authority          *Authority
		method, name, body string
		want               int
	}{
		{full, "GET", "invitation", "", 200}, // there is none
		{full, "POST", "invite", `{"name": "pi", "port": 20001, "qr": true}`, 200},
		{full, "GET", "invitation", "", 200},
		{full, "POST", "withdraw", `{"name": "pi"}`, 200},
		{full, "POST", "withdraw", `{"name": "pi"}`, 422},
		{full, "POST", "withdraw", `{`, 400},
		{full, "POST", "allow", fmt.Sprintf(`{"id": "%v", "name": "shed"}`, nodeID(1)), 200},
		{full, "GET", "nodes", "", 200},
		{full, "GET", "limits", "", 200},
		{full, "POST", "limit", `{"node": "shed", "limits": {"maxClients": "5", "protocols": "tcp"}}`, 200},
		{full, "POST", "limit", `{"node": "shed", "limits": {"maxClients": "none"}}`, 422},
		{full, "POST", "limit", `{"node": "shed", "limits": {"maxClients": 5}}`, 400},
		{full, "GET", "limits", "", 200},
		{full, "POST", "pin", `{"node": "shed", "service": "web", "port": 20000}`, 200},
		{full, "POST", "pin", `{"node": "shed", "service": "web", "port": 20003}`, 422},
		{full, "POST", "pin", `{"node": "shed", "service": "web", "port": 20008}`, 200},
		{full, "POST", "pin", `{"node": "shed", "service": "web", "port": 70000}`, 400},
		{full, "POST", "unpin", `{"node": "shed", "service": "web"}`, 200},
		{full, "POST", "unpin", `{"node": "shed", "service": "web"}`, 422},
		{full, "POST", "pin", `{"node": "shed", "service": "web", "port": 20000}`, 200},
		{full, "POST", "limit", `{"node": "shed", "clear": true}`, 200},
		{full, "GET", "status", "", 200},
		{full, "GET", "status?services=false", "", 200},
		{full, "GET", "status?services=perhaps", "", 400},
		{full, "GET", "relays", "", 200},
		{full, "GET", "relays?node=nobody", "", 422},
		{full, "GET", "nodes?limit=x", "", 400},
		{full, "GET", "flows", "", 200},
		{full, "GET", "totals", "", 200},
		{full, "GET", "totals?by=day,node&from=2026-11-01&to=2026-11-30&limit=5&skip=1", "", 200},
		{full, "GET", "totals?by=week", "", 422},
		{full, "GET", "totals?from=yesterday", "", 422},
		{full, "GET", "relays?from=2026-11-01", "", 400},
		{running, "GET", "totals", "", 200},
		{full, "GET", "explain?node=shed", "", 200},
		{full, "GET", "explain?node=" + nodeID(2).String(), "", 200},
		{full, "GET", "explain?node=nobody", "", 422},
		{full, "POST", "kick", `{"node": "shed"}`, 200},
		{full, "POST", "release", `{"port": 20003}`, 200},
		{full, "POST", "revoke", `{"node": "shed"}`, 200},
		{full, "POST", "copy-leases", `{}`, 200},
		{full, "POST", "reload", `{}`, 200},
		{full, "POST", "drain", `{}`, 200},
		{full, "GET", "openapi.json", "", 200},
		{running, "GET", "status", "", 200},
		{running, "GET", "nodes", "", 200},
		{running, "POST", "drain", `{}`, 422},
	} {
		w := httptest.NewRecorder()
		handlerOf(test.authority).ServeHTTP(w, httptest.NewRequest(test.method, Prefix+test.name, strings.NewReader(test.body)))
		var value any
		if err := json.Unmarshal(w.Body.Bytes(), &value); err != nil || w.Code != test.want {
			t.Fatalf("%s: %d, want %d: %s, %v", test.name, w.Code, test.want, w.Body, err)
		}
		code := "200"
		if test.want != http.StatusOK {
			code = "default"
		}
		name, _, _ := strings.Cut(test.name, "?")
		operation := d.document["paths"].(object)[Prefix+name].(object)[strings.ToLower(test.method)].(object)
		schema := operation["responses"].(object)[code].(object)["content"].(object)["application/json"].(object)["schema"].(object)
		for _, wrong := range d.fits(schema, value, test.name) {
			t.Error(wrong)
		}
	}
	d.events(t)
	d.checkSeen(t)
}

func nodeID(n byte) certs.NodeID { return certs.NodeID{n, 31: 1} }

// fullCore has everything that a status may show.
func fullCore(t *testing.T) *fakeCore {
	now, later := time.Now(), time.Now().Add(time.Hour)
	one, two := nodeID(1), nodeID(2)
	return &fakeCore{status: server.Status{
		Since:    now,
		Sessions: []server.SessionStatus{{Node: one, Address: "198.51.100.7:4711", Since: now, Version: "apquic-node 1", Primary: true, Relays: 3, Silent: true, Path: live.Path{Keepalive: time.Second, Heard: now, Moved: now}}},
		Leases: []lease.Lease{
			{Key: lease.Key{Node: one, Service: "web"}, Port: 20000, Origin: "tcp://127.0.0.1:80"}, {Key: lease.Key{Service: "photos"}, Port: 20001},
			{Key: lease.Key{Node: two, Service: "web"}, Port: 20003, HeldUntil: later}, {Key: lease.Key{Node: two, Service: "blog"}, Domain: "blog.example.org", HeldUntil: later},
		},
		Canaries: map[lease.Key]live.Canary{{Node: one, Service: "web"}: {Every: time.Minute, Last: now, Failing: "it refuses connections", Since: now, Proofs: 1, Failures: 1}},
		Traffic: map[lease.Endpoint]server.Traffic{
			{Port: 20000}: {Clients: 5, Flows: 1, ToNode: 10, FromNode: 20, Refused: quicproxy.Refused{Networks: 1, Countries: 1, Connections: 1, Rate: 1, Datagrams: 1, Month: 1}},
			{Port: 20001}: {},
		},
	}, relays: []live.Relay{{Node: one, Service: "web", Port: 20000, Domain: "a.example.org", Private: true, Since: now, Resumed: 1}}, flows: []live.Flow{{Node: one, Service: "web", Port: 20000}}}
}

// described is the document, and what of it was seen in answers.
type described struct {
	document object
	seen     map[string]bool // SCHEMA.FIELD
}

func (d *described) schemas() object { return d.document["components"].(object)["schemas"].(object) }

// events checks an event as the stream has it.
func (d *described) events(t *testing.T) {
	hub := events.New(slog.DiscardHandler)
	slog.New(hub).Info("node connected", "node", "A")
	list, _, _ := hub.After(0, 1)
	text, err := json.Marshal(list[0])
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range d.fits(object{"$ref": "#/components/schemas/Event"}, value, "event") {
		t.Error(wrong)
	}
}

// rare are fields that no answer of this test has.
var rare = []string{"Revoked.invitation", "Counters.datagramsDropped", "Counters.datagramsToNodes", "Counters.datagramsFromNodes", "Node.joined", "Revoked.joined", "Service.members", "Service.unhealthy", "OpenInvitation.joined", "Invited.joined", "Kicked.joined", "Counters.refusedBy", "Service.hostname", "Service.private"}

// checkSeen: a field that is never in an answer may have another name there.
func (d *described) checkSeen(t *testing.T) {
	for name, schema := range d.schemas() {
		for field := range schema.(object)["properties"].(object) {
			full := name + "." + field
			if !d.seen[full] && !strings.Contains(name, "Request") && !strings.HasPrefix(name, "Member") && !slices.Contains(rare, full) {
				t.Errorf("no answer has %s", full)
			}
		}
	}
}

// fits returns what of a JSON value a schema does not allow.
func (d *described) fits(schema object, value any, at string) (wrong []string) {
	name := ""
	if ref, ok := schema["$ref"].(string); ok {
		name = ref[strings.LastIndex(ref, "/")+1:]
		schema = d.schemas()[name].(object)
	}
	kinds := make(map[string]bool)
	switch v := value.(type) {
	case string:
		kinds["string"] = true
		if _, err := time.Parse(time.RFC3339, v); schema["format"] == "date-time" && err != nil {
			wrong = append(wrong, fmt.Sprintf("%s is no time: %s", at, v))
		}
	case bool:
		kinds["boolean"] = true
	case float64:
		kinds["number"], kinds["integer"] = true, v == float64(int64(v))
	case []any:
		kinds["array"] = true
		for i, element := range v {
			wrong = append(wrong, d.fits(schema["items"].(object), element, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case object:
		kinds["object"] = true
		wrong = append(wrong, d.fitMembers(name, schema, v, at)...)
	}
	if kind, _ := schema["type"].(string); !kinds[kind] {
		wrong = append(wrong, fmt.Sprintf("%s is %v, want %s", at, value, kind))
	}
	return wrong
}

func (d *described) fitMembers(name string, schema, value object, at string) (wrong []string) {
	properties, closed := schema["properties"].(object)
	for field, member := range value {
		d.seen[name+"."+field] = true
		known, ok := properties[field].(object)
		if !ok {
			known, ok = schema["additionalProperties"].(object)
		}
		if ok {
			wrong = append(wrong, d.fits(known, member, at+"."+field)...)
		} else if closed {
			wrong = append(wrong, at+"."+field+" is not in the document")
		}
	}
	required, _ := schema["required"].([]any)
	for _, field := range required {
		if _, there := value[field.(string)]; !there {
			wrong = append(wrong, at+"."+field.(string)+" is missing")
		}
	}
	return wrong
}
