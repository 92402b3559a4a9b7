// Package web is a web site in front of a service, or one in front of many (Visitor): it ends TLS and HTTP for the
// clients of a domain, and passes each request on to an upstream that speaks HTTP. It also reads certificates in files.
//
// HTTP is parsed by net/http and passed on by httputil.ReverseProxy alone. The package must not know of tunnels.
package web
