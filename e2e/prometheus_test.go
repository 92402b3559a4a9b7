package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prometheus is the real one, which scrapes a server and its node every second.
type prometheus struct{ api string }

// startPrometheus starts one for programs whose addresses and files with tokens are given.
func startPrometheus(t *testing.T, tokens map[string]string) *prometheus {
	t.Helper()
	program, folder := realProgram(t, "prometheus"), t.TempDir()
	rules, err := filepath.Abs("../packaging/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n", rules)
	for address, file := range tokens {
		config += fmt.Sprintf("  - job_name: apquic-%s\n    authorization: {credentials_file: %q}\n    static_configs: [{targets: [%q]}]\n", strings.TrimPrefix(address, "127.0.0.1:"), file, address)
	}
	path := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + strconv.Itoa(freePort(t))
	started := launch(t, func(cmd *exec.Cmd) { cmd.Path = program }, "prometheus", "--config.file="+path, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address)
	waitFor(t, started.stderr, "Server is ready to receive web requests")
	return &prometheus{api: "http://" + address + "/api/v1/"}
}

// get reads an answer into data.
func (p *prometheus) get(t *testing.T, path string, data any) {
	t.Helper()
	response, err := http.Get(p.api + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %d, %s %v", path, response.StatusCode, answer.Error, err)
	}
}

// query returns how many series an expression has now.
func (p *prometheus) query(t *testing.T, expression string) int {
	t.Helper()
	var data struct{ Result []any }
	p.get(t, "query?query="+url.QueryEscape(expression), &data)
	return len(data.Result)
}

// await returns once an expression has series.
func (p *prometheus) await(t *testing.T, expression string) {
	t.Helper()
	for end := time.Now().Add(maxWait); p.query(t, expression) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s has no series", expression)
		}
	}
}

// expressions returns those of the dashboard, as Grafana asks for them.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile("../packaging/grafana/apquic.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			all = append(all, strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr))
		}
	}
	return all
}

// TestPrometheus: the real one scrapes both programs, evaluates the alerts, and understands the dashboard; an alert begins
// when a node leaves.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	admin, nodeAdmin, data := "127.0.0.1:"+strconv.Itoa(freePort(t)), "127.0.0.1:"+strconv.Itoa(freePort(t)), filepath.Join(t.TempDir(), "node")
	n := newTunnel(t, "--admin", admin)
	node := launch(t, nil, "apquic-node", "--server", n.invitation, "--upstream", "echo="+echoServer(t), "--data-dir", data, "--admin", nodeAdmin)
	waitFor(t, node.stdout, `echo +tcp://`)
	n.echo(t, "hello").Close()
	p := startPrometheus(t, map[string]string{admin: filepath.Join(n.data, "admin_token"), nodeAdmin: filepath.Join(data, "admin_token")})
	for _, expression := range []string{
		`count(up == 1) == 2`, `count(apquic_ready == 1) == 2`, `apquic_server_node_online{node="node-1"} == 1`, `apquic_server_service_up{node="node-1", service="echo"} == 1`,
		`apquic_server_service_received_bytes_total{node="node-1", service="echo"} == 5`, `apquic_server_relays_total == 1`, `apquic_server_relay_duration_seconds_count == 1`,
		`apquic_server_relay_rtt_seconds_sum > 0`, `apquic_node_connected == 1`, `apquic_node_rtt_seconds > 0`, `apquic_node_service_public{service="echo"} == 1`,
		`process_resident_memory_bytes{job=~"apquic.*"}`,
	} {
		p.await(t, expression)
	}

	documented, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, expression := range expressions(t) {
		p.query(t, expression)
		for _, name := range regexp.MustCompile(`apquic_\w+`).FindAllString(expression, -1) {
			if !strings.Contains(string(documented), "`"+strings.TrimSuffix(name, "_bucket")+"`") {
				t.Errorf("the dashboard has %s, which does not exist", name)
			}
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, State string }
		}
	}
	for end := time.Now().Add(maxWait); ; time.Sleep(100 * time.Millisecond) {
		p.get(t, "rules", &rules)
		if len(rules.Groups) == 1 && len(rules.Groups[0].Rules) > 9 && rules.Groups[0].Rules[len(rules.Groups[0].Rules)-1].Health == "ok" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", rules)
		}
	}
	for _, rule := range rules.Groups[0].Rules {
		if rule.Health != "ok" || rule.State != "inactive" {
			t.Errorf("%+v", rule)
		}
	}
	node.kill(t, syscall.SIGTERM)
	p.await(t, `apquic_server_node_online{node="node-1"} == 0`)
	p.await(t, `ALERTS{alertname="ApquicNodeAway", alertstate="pending", node="node-1"}`)
	p.await(t, `ALERTS{alertname="ApquicDown", alertstate="pending"}`)
}

// TestAlerts: promtool says that the rules are well made, and their own tests pass.
func TestAlerts(t *testing.T) {
	t.Parallel()
	program := realProgram(t, "promtool")
	for _, arguments := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), program, arguments...)
		cmd.Dir = "../packaging/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", arguments, err, out)
		}
	}
}
