package nodeapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"apquic/certs"
	"apquic/internal/events"
	"apquic/internal/visits"
	"apquic/quicproxy/live"
	"apquic/quicproxy/node"
)

// small is a node with one service.
type small struct{ dialled int }

func (s *small) Status(ctx context.Context) node.Status {
	if ctx.Err() == nil {
		s.dialled++
	}
	return node.Status{Node: certs.NodeID{1}, Server: certs.NodeID{2}, Since: time.Now(), Sent: 7, Received: 8, Services: []node.ServiceStatus{{Service: "web", Upstream: errors.New("refused")}}}
}

func (s *small) Relays(which live.Selection) ([]live.Relay, int) {
	return make([]live.Relay, min(which.Limit, 3000)), 3000
}

// TestStatus: the status has what passed, who is here and who left; without services neither they nor the server are
// asked.
func TestStatus(t *testing.T) {
	t.Parallel()
	var left visits.Last
	log := slog.New(left.Handler(slog.DiscardHandler))
	log.Debug("relay ended", "service", "web", "client", "192.0.2.1:1", "to_upstream", uint64(1), "from_upstream", uint64(2))
	n := &small{}
	did := ""
	act := func(what string) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { did += what })
	}
	handler := Handler(Config{
		Node: n, Version: "apquic-node v1", Events: events.New(slog.DiscardHandler), Left: &left, Reload: act("reload"), Leave: act("leave"),
		Refused: func(service string) map[string]uint64 { return map[string]uint64{service: 3} },
	})
	ask := func(method, path string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(method, path, http.NoBody))
		return answer
	}
	for path, services := range map[string]int{"/api/v1/status": 1, "/api/v1/status?services=false": 0} {
		n.dialled = 0
		var s Status
		if err := json.Unmarshal(ask("GET", path).Body.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if s.Services == nil || len(s.Services) != services || n.dialled != services || s.Sent != 7 || s.Received != 8 || len(s.Relays) != maxRelays || s.RelaysTotal != 3000 || len(s.Left) != 1 || s.Left[0].Out != 2 {
			t.Errorf("%s: %d times asked, %+v", path, n.dialled, s)
		}
		if services > 0 && (s.Services[0].Answers || s.Services[0].Refused["web"] != 3) {
			t.Errorf("the service is %+v", s.Services[0])
		}
	}
	for path, want := range map[string]string{"/api/v1/reload": "reload", "/api/v1/leave": "leave"} {
		if did = ""; ask("GET", path).Code != http.StatusMethodNotAllowed || did != "" {
			t.Errorf("GET %s does %q", path, did)
		}
		if ask("POST", path); did != want {
			t.Errorf("POST %s does %q", path, did)
		}
	}
}
