package debug

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"sync"
	"time"
)

// CheckAddress accepts the ip:port of a loopback interface; port 0 is any.
func CheckAddress(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errors.New(`want an IP address and a port of this machine alone, such as "127.0.0.1:6060"`)
	}
	if !at.Addr().IsLoopback() {
		return fmt.Errorf(`%v can be reached from other machines, and profiles have no password; want a loopback address such as "127.0.0.1:%d"`,
			at.Addr(), at.Port())
	}
	return nil
}

// Start writes dumps to folder on SIGUSR1 and, unless address is empty, serves /debug/pprof/ (net/http/pprof)
// and /debug/vars (expvar) there, until stop is called.
func Start(address, folder string, log *slog.Logger) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	requests := signals()
	if address != "" {
		listener, err := listen(address)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("debug address: %w", err)
		}
		work.Go(func() { serve(ctx, listener, log) })
	}
	work.Go(func() { dumpOnSignal(ctx, requests, folder, log) })
	return func() { cancel(); work.Wait() }, nil
}

func listen(address string) (net.Listener, error) {
	if err := CheckAddress(address); err != nil {
		return nil, err
	}
	return net.Listen("tcp", address)
}

func serve(ctx context.Context, listener net.Listener, log *slog.Logger) {
	server := &http.Server{Handler: local(handler()), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	log.Info("profiles for this machine", "url", "http://"+listener.Addr().String()+"/debug/pprof/")
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Error("profiles are no longer served", "err", err)
	}
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("GET /debug/vars", expvar.Handler())
	return mux
}

// local refuses requests by web pages: a page's name may have been made to point here (DNS rebinding), but it
// is then in the Host header.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) || r.Header.Get("Origin") != "" {
			http.Error(w, "only for this machine", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
