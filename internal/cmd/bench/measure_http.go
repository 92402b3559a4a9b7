package main

import (
	"context"
	"time"

	"apquic/internal/cmd/bench/load"
)

// siteName is the name of the web site that contenders make public.
const siteName = "www.example.org"

// overHTTP compares a web site that is reached by its name with the same at a port of its own, and a service that is
// told each client's address with one that is not.
func overHTTP() []measurement {
	byName, proxied := exposure{host: siteName}, exposure{proxy: true}
	return []measurement{
		requests("http-port", "HTTP through a port, 16 connections", exposure{}, false),
		requests("http-name", "HTTP through a name, 16 connections", byName, false),
		requests("http-port-once", "HTTP through a port, a connection for each request", exposure{}, true),
		requests("http-name-once", "HTTP through a name, a connection for each request", byName, true),
		requests("http-proxy-once", "HTTP through a port with PROXY protocol, a connection for each request", proxied, true),
	}
}

func requests(name, title string, exposes exposure, once bool) measurement {
	return measurement{
		name: name,
		rows: []row{
			{name + "-rate", title, perSecond, higher},
			{name + "-cpu", "CPU of the tunnel for each request", micros, lower},
		},
		exposes: exposes,
		run: func(ctx context.Context, t *trial) (values, error) {
			result, used, err := t.measured(ctx, load.Job{
				Kind: load.Requests, Host: siteName, Once: once, Conns: 16, Warmup: t.lasting(300 * time.Millisecond), Time: t.lasting(3 * time.Second / 2),
			})
			if err != nil || result.Count == 0 {
				return nil, err
			}
			found := values{name + "-rate": result.Rate}
			if t.hasPrograms() {
				found[name+"-cpu"] = microseconds(used.CPU) / float64(result.Count)
			}
			return found, nil
		},
	}
}
