package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// fetchOnce shows the page as it comes through the tunnel, and compares that with the site's own, for each URL.
func fetchOnce(ctx context.Context, out *terminal, site string, roots *x509.CertPool, urls ...string) error {
	for i, url := range urls {
		_, host, _ := strings.Cut(strings.TrimSuffix(url, "/"), "://")
		want, err := fetch(ctx, "http://"+site+"/", host, nil)
		if err != nil {
			return fmt.Errorf("fetching the page from the site itself: %w", err)
		}
		got, err := fetch(ctx, url, host, roots)
		if err != nil {
			return fmt.Errorf("fetching the page through the tunnel: %w", err)
		}
		if i == 0 {
			out.line("\n" + got)
		}
		if got != want {
			return fmt.Errorf("what came through the tunnel from %s is not the page of the site", url)
		}
		out.line(fmt.Sprintf("%s answered with the page of the site, %d bytes, through the tunnel.", url, len(got)))
	}
	return nil
}

// fetch gets a page. All names are those of this machine.
func fetch(ctx context.Context, url, host string, roots *x509.CertPool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	request.Host = host
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return string(body), err
}
