package web

import (
	"net/http"
	"strings"

	"apquic/internal/login"
)

// clientHeaders are the headers in which proxies and content delivery networks tell a site its client's address, beside
// those that begin with Forwarded; all with and without X- before them. Sites believe them in some order of their own,
// so a visitor who sends one of them would be believed to be somebody else.
var clientHeaders = map[string]bool{
	"Real-Ip": true, "Client-Ip": true, "True-Client-Ip": true, "Cluster-Client-Ip": true, "Original-Forwarded-For": true, "Original-For": true,
	"Originating-Ip": true, "Remote-Ip": true, "Remote-Addr": true, "Proxy-Client-Ip": true, "Proxyuser-Ip": true, "Forward-For": true,
	"Ali-Cdn-Real-Ip": true, "Appengine-User-Ip": true, "Azure-Clientip": true, "Azure-Socketip": true, "Cdn-Src-Ip": true, "Cf-Connecting-Ip": true,
	"Cf-Connecting-Ipv6": true, "Cf-Pseudo-Ipv4": true, "Cloudfront-Viewer-Address": true, "Do-Connecting-Ip": true, "Envoy-External-Address": true,
	"Fastly-Client-Ip": true, "Fly-Client-Ip": true, "Nf-Client-Connection-Ip": true, "Wl-Proxy-Client-Ip": true,
}

// dropClientHeaders removes what a visitor says about the client's address, host and scheme.
func dropClientHeaders(header http.Header) {
	for name := range header {
		n := strings.TrimPrefix(login.CanonicalHeader(name), "X-")
		if strings.HasPrefix(n, "Forwarded") || clientHeaders[n] {
			delete(header, name)
		}
	}
}
