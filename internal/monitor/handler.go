package monitor

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"apquic/internal/control"
)

// Path is where the numbers are.
const Path = "/metrics"

const (
	scrapeTimeout = 10 * time.Second // as long as Prometheus waits by itself
	maxScrapes    = 4                // at once; more are answered with 503
	// askEvery is how often Ready is called at most, however often strangers ask.
	askEvery = time.Second
)

// Config is what a program says of itself. All fields are required.
type Config struct {
	Version string // NAME VERSION
	// Ready returns why the program cannot do its work now.
	Ready func(ctx context.Context) error
	// Collect adds the numbers to a page, one call at a time.
	Collect func(ctx context.Context, page *Page) error
}

var (
	buildInfo = Metric{Name: "apquic_build_info", Help: "1, with the version of the program.", Labels: []string{"program", "version"}}
	isReady   = Metric{Name: "apquic_ready", Help: "Whether the program can do its work, as /readyz says."}
)

// Beside returns a handler of the paths of this package, and of all others by next.
func Beside(next http.Handler, c Config) http.Handler {
	ready := &readiness{ask: c.Ready}
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{config: c, ready: ready}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("/", next)
	// Whoever scrapes is near as a rule, and a node's processor is slow.
	mux.Handle("GET "+Path, promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, DisableCompression: true}))
	mux.HandleFunc("GET "+control.AlivePath, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET "+control.ReadyPath, func(w http.ResponseWriter, r *http.Request) {
		if ready.now() != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable) // why is the owner's to know
			return
		}
		io.WriteString(w, "ready\n")
	})
	return mux
}

// Of returns a truth as a number.
func Of(truth bool) float64 {
	if truth {
		return 1
	}
	return 0
}

// readiness remembers for a moment whether the program is ready.
type readiness struct {
	ask func(context.Context) error

	mu  sync.Mutex
	at  time.Time
	err error
}

func (r *readiness) now() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at.IsZero() || time.Since(r.at) >= askEvery {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
		defer cancel()
		r.err = r.ask(ctx)
		r.at = time.Now()
	}
	return r.err
}

// collector is what Prometheus asks.
type collector struct {
	config Config
	ready  *readiness

	mu     sync.Mutex // for one scrape at a time
	others others
}

// Describe implements prometheus.Collector: the metrics are known when they are collected.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	page := newPage()
	program, version, _ := strings.Cut(c.config.Version, " ")
	page.Add(buildInfo, 1, program, version)
	page.Add(isReady, Of(c.ready.now() == nil))
	if err := c.config.Collect(ctx, page); err != nil {
		to <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
		return
	}
	for _, s := range c.others.fold(page.series) {
		to <- s.told()
	}
}
