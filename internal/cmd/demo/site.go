package main

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"net"
	"net/http"
	"time"
)

//go:embed site
var files embed.FS

var page = template.Must(template.ParseFS(files, "site/index.html"))

// serveSite serves the demo's web site on a free loopback port until ctx ends. It returns the address
// host:port, and a function that waits for the end.
func serveSite(ctx context.Context) (address string, wait func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if err := page.Execute(&body, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(body.Bytes())
	})
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "site/style.css")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener)
	}()
	stop := context.AfterFunc(ctx, func() { server.Close() })
	return listener.Addr().String(), func() { <-done; stop() }, nil
}
